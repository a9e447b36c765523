//! Faults in an order that a number decides. Whatever the number: each record that was published is
//! shown once and in order, or is among those that are reported as lost.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::nats_server::NatsServer;
use crate::outage::Ordered;
use crate::process::End;
use crate::processes::child;

/// The schedules of every run; `XTRACER_SEED` names another one.
const SEEDS: [u64; 3] = [1, 2, 3];
/// Faults in a schedule.
const FAULTS: usize = 8;

/// The seeds to try: these, unless the environment names one.
pub(crate) fn seeds(own: &[u64]) -> Vec<u64> {
    std::env::var("XTRACER_SEED").map_or(own.to_vec(), |seed| {
        vec![seed.parse().expect("XTRACER_SEED is a number")]
    })
}

/// Numbers that look like chance and are the same for the same seed (xorshift).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// A while of the schedule: what is to happen in it is up to the system.
    pub(crate) fn pause(&mut self) {
        std::thread::sleep(Duration::from_millis(self.below(400)));
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

/// Stops a process for a while.
pub(crate) fn freeze(pid: u32, chance: &mut Chance) {
    signal(pid, Signal::SIGSTOP);
    chance.pause();
    signal(pid, Signal::SIGCONT);
}

fn run(seed: u64) -> (End, Vec<&'static str>) {
    let mut chance = Chance::new(seed);
    let mut server = NatsServer::start();
    let port = server.port.into();
    let mut session = Ordered::start(&server.url(), &[]);
    let hub = session.hub.child.id();
    session.print(100);
    session.hub.wait_for_lines(1);
    let agent = child(hub, "x-agent");
    let mut faults = Vec::new();
    let mut killed = false;
    for _ in 0..FAULTS {
        session.print(chance.below(4_000));
        chance.pause();
        faults.push(match chance.below(5) {
            0 => {
                drop(server);
                chance.pause();
                server = NatsServer::on_port(port, "");
                "the server is killed"
            }
            1 => {
                freeze(server.child.id(), &mut chance);
                "the server is stopped"
            }
            2 => {
                freeze(hub, &mut chance);
                "the hub is stopped"
            }
            3 => {
                freeze(agent, &mut chance);
                "the agent is stopped"
            }
            _ => match session.tool.process() {
                // A tool that fails again and again is given up.
                Some(tool) if !killed => {
                    killed = true;
                    signal(tool, Signal::SIGKILL);
                    "the tool is killed"
                }
                _ => "nothing happens",
            },
        });
    }
    session.hub.signal(Signal::SIGINT);
    (session.interrupted(), faults)
}

/// The number after these words of an account.
pub(crate) fn number(account: &str, words: &str) -> u64 {
    let (_, rest) = account.split_once(words).unwrap();
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    digits.parse().unwrap()
}

#[test]
fn what_is_published_is_shown_or_reported_as_lost() {
    for seed in seeds(&SEEDS) {
        let (end, faults) = run(seed);
        let context = format!("XTRACER_SEED={seed}: {faults:?}: {:#?}", end.stderr);
        let seq = |line: &String| {
            let record: Value = serde_json::from_str(line).unwrap();
            record["seq"].as_u64().unwrap()
        };
        let shown: Vec<_> = end.stdout.iter().map(seq).collect();
        assert!(
            shown.is_sorted_by(|one, next| one < next),
            "once and in order: {context}"
        );
        let account = end
            .stderr
            .iter()
            .find(|line| line.contains("tcpconnect: printed "))
            .unwrap_or_else(|| panic!("no account: {context}"));
        let [published, dropped, told, missing] =
            ["published ", "dropped ", "shown ", "missing "].map(|words| number(account, words));
        assert_eq!(told, shown.len() as u64, "{context}");
        assert_eq!(published + dropped, told + missing, "{context}");
    }
}
