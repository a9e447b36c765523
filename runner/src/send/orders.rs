//! Orders of the hub: to trace containers that were not there at the start.

use std::sync::Arc;

use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use nkeys::KeyPair;
use probeparser::wire::{Obeyed, Order, OrderSubject};

use super::Second;
use crate::scope::{Scope, Target};

/// Obeys whoever signs with the key `from`, until it is aborted, and hands what there is to tell to `tell`.
pub(crate) async fn obey<T>(
    second: Second,
    subject: OrderSubject,
    from: KeyPair,
    scope: Arc<Scope>,
    tell: T,
) where
    T: AsyncFn(String),
{
    let Some((client, mut orders)) = open(second, &subject).await else {
        return;
    };
    let mut warned = false;
    while let Some(message) = orders.next().await {
        let refused = match Order::decode(&message.payload) {
            Ok(order) if is_signed(&order, &subject, &from) => {
                add(&scope, order.targets, &tell).await
            }
            // A stranger gets no answer, and can't make us talk.
            Ok(_) => {
                if !std::mem::replace(&mut warned, true) {
                    tell("refused an order that this session's hub has not signed; more of them are refused without a word".to_owned()).await;
                }
                continue;
            }
            Err(error) => vec![error.to_string()],
        };
        if let Some(reply) = message.reply {
            // Who does not hear it asks again.
            let answer = Obeyed::new(refused).encode();
            client.publish(reply, answer.into()).await.ok();
        }
    }
}

/// Whether an order to us is from whom we take orders.
fn is_signed(order: &Order, subject: &OrderSubject, from: &KeyPair) -> bool {
    let statement = order.statement(subject);
    from.verify(&statement, &order.signature).is_ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_hub_has_signed_for_us_is_an_order() {
        let subject = |node: &str| OrderSubject {
            session: "s".into(),
            node: node.into(),
        };
        let (hub, stranger) = (KeyPair::new_user(), KeyPair::new_user());
        let from = KeyPair::from_public_key(&hub.public_key()).unwrap();
        let signed = |by: &KeyPair, node: &str| {
            let mut order = Order::new(vec!["container:00".into()]);
            order.signature = by.sign(&order.statement(&subject(node))).unwrap();
            order
        };
        assert!(is_signed(&signed(&hub, "n"), &subject("n"), &from));
        assert!(!is_signed(&signed(&hub, "other"), &subject("n"), &from));
        assert!(!is_signed(&signed(&stranger, "n"), &subject("n"), &from));
        let mut changed = signed(&hub, "n");
        changed.targets.push("pidns:1".into());
        assert!(!is_signed(&changed, &subject("n"), &from));
        for signature in [vec![], vec![0; 64], vec![0; 63], vec![255; 1000]] {
            changed.signature = signature;
            assert!(!is_signed(&changed, &subject("n"), &from));
        }
    }
}
