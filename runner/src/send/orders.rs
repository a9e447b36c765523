//! Orders of the hub: to trace containers that were not there at the start.

use std::sync::Arc;

use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use probeparser::wire::{Obeyed, Order, OrderSubject};

use super::Second;
use crate::scope::{Scope, Target};

/// Obeys until it is aborted, and hands what there is to tell to `tell`.
pub(crate) async fn obey<T>(second: Second, subject: OrderSubject, scope: Arc<Scope>, tell: T)
where
    T: AsyncFn(String),
{
    let Some((client, mut orders)) = open(second, &subject).await else {
        return;
    };
    while let Some(message) = orders.next().await {
        let refused = match Order::decode(&message.payload) {
            Ok(order) => add(&scope, order.targets, &tell).await,
            Err(error) => vec![error.to_string()],
        };
        if let Some(reply) = message.reply {
            // Who does not hear it asks again.
            let answer = Obeyed::new(refused).encode();
            client.publish(reply, answer.into()).await.ok();
        }
    }
}

async fn open(second: Second, subject: &OrderSubject) -> Option<(Client, Subscriber)> {
    let client = second.connect("x-agent: orders").await?;
    let orders = client.subscribe(subject.to_string()).await.ok()?;
    Some((client, orders))
}

/// Gives why targets are not traced.
async fn add(scope: &Arc<Scope>, targets: Vec<String>, tell: &impl AsyncFn(String)) -> Vec<String> {
    let mut refused = Vec::new();
    for text in targets {
        match text.parse::<Target>() {
            Err(error) => refused.push(error.to_string()),
            Ok(target) => {
                let scope = Arc::clone(scope);
                // It looks through /proc.
                let added = tokio::task::spawn_blocking(move || scope.add(target)).await;
                match added {
                    Ok(Ok(added)) => {
                        tell(format!("tracing {text} as well")).await;
                        for warning in added.warnings {
                            tell(warning.to_string()).await;
                        }
                    }
                    Ok(Err(error)) => refused.push(format!("{text}: {error}")),
                    Err(error) => refused.push(format!("{text}: {error}")),
                }
            }
        }
    }
    refused
}
