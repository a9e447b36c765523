//! What to trace: how a target is named, by people and by the hub.

use std::fmt;
use std::str::FromStr;

use super::container;

/// The one fact that leads to a PID namespace, or to a cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TargetKey {
    /// A process, by the number that the host gives it.
    Pid(u32),
    /// A container, by its ID or a unique prefix of it: 12 to 64 lower-case hex digits.
    Container(String),
    /// A container in the same words, by its cgroup: also where it uses the host's PID namespace.
    Cgroup(String),
    /// The PID namespace itself, by its inode (`lsns -t pid`, `stat -L -c %i /proc/PID/ns/pid`).
    PidNamespace(u32),
}

/// A container-like thing to trace, and the names its records carry.
///
/// Written `pid:N`, `container:ID`, `cgroup:ID` or `pidns:INODE`, optionally followed by
/// `,namespace=NAME`, `,pod=NAME` and `,name=CONTAINER`:
///
/// ```
/// use x_agent::scope::{Target, TargetKey};
///
/// let target: Target = "pid:4711,namespace=shop,pod=web-0,name=nginx".parse()?;
/// assert_eq!(target.key, TargetKey::Pid(4711));
/// assert_eq!(target.pod.as_deref(), Some("web-0"));
/// assert_eq!(target.to_string(), "pid:4711,namespace=shop,pod=web-0,name=nginx");
/// # Ok::<(), x_agent::scope::TargetSyntaxError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Which PID namespace.
    pub key: TargetKey,
    /// Kubernetes namespace, where known.
    pub namespace: Option<String>,
    /// Pod, where known.
    pub pod: Option<String>,
    /// Name of the container in the pod, where known.
    pub container: Option<String>,
}

/// A target that is not written as [`Target`] describes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetSyntaxError {
    /// The part before the first comma names nothing.
    #[error("target {0:?}: write pid:N, container:ID, cgroup:ID or pidns:INODE")]
    Key(String),
    /// The number is none, or not in 1..=4294967295.
    #[error("target {0:?}: {1:?} is not a whole number of 1 or more")]
    Number(String, String),
    /// The container ID is none.
    #[error(
        "target {0:?}: a container ID is 64 hex digits, or the first {min} or more of them",
        min = container::SHORTEST_PREFIX
    )]
    ContainerId(String),
    /// A part after a comma is not one of the three labels, or one came twice, or is empty.
    #[error(
        "target {0:?}: {1:?} is not one of namespace=NAME, pod=NAME, name=CONTAINER, each once"
    )]
    Label(String, String),
}

impl TargetKey {
    /// The container that it names, as it names it.
    #[must_use]
    pub fn container(&self) -> Option<&str> {
        match self {
            Self::Container(id) | Self::Cgroup(id) => Some(id),
            Self::Pid(_) | Self::PidNamespace(_) => None,
        }
    }
}

impl From<TargetKey> for Target {
    /// A target without names.
    fn from(key: TargetKey) -> Self {
        Self {
            key,
            namespace: None,
            pod: None,
            container: None,
        }
    }
}

impl FromStr for Target {
    type Err = TargetSyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(',');
        let mut target = Self::from(parse_key(text, parts.next().unwrap_or_default())?);
        for part in parts {
            let place = match part.split_once('=') {
                Some(("namespace", _)) => &mut target.namespace,
                Some(("pod", _)) => &mut target.pod,
                Some(("name", _)) => &mut target.container,
                _ => return Err(TargetSyntaxError::Label(text.to_owned(), part.to_owned())),
            };
            let name = part
                .split_once('=')
                .map(|(_, name)| name)
                .filter(|name| !name.is_empty());
            if name.is_none() || place.is_some() {
                return Err(TargetSyntaxError::Label(text.to_owned(), part.to_owned()));
            }
            *place = name.map(str::to_owned);
        }
        Ok(target)
    }
}

fn parse_key(text: &str, key: &str) -> Result<TargetKey, TargetSyntaxError> {
    let number = |digits: &str| match digits.parse() {
        Ok(number) if number > 0 && !digits.starts_with('+') => Ok(number),
        _ => Err(TargetSyntaxError::Number(
            text.to_owned(),
            digits.to_owned(),
        )),
    };
    match key.split_once(':') {
        Some(("pid", digits)) => Ok(TargetKey::Pid(number(digits)?)),
        Some(("pidns", digits)) => Ok(TargetKey::PidNamespace(number(digits)?)),
        Some((means @ ("container" | "cgroup"), id)) => {
            let id = container::normalize(id)
                .ok_or_else(|| TargetSyntaxError::ContainerId(text.to_owned()))?;
            Ok(match means {
                "cgroup" => TargetKey::Cgroup(id),
                _ => TargetKey::Container(id),
            })
        }
        _ => Err(TargetSyntaxError::Key(text.to_owned())),
    }
}

impl fmt::Display for TargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pid(pid) => write!(f, "pid:{pid}"),
            Self::Container(id) => write!(f, "container:{id}"),
            Self::Cgroup(id) => write!(f, "cgroup:{id}"),
            Self::PidNamespace(inode) => write!(f, "pidns:{inode}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key)?;
        let labels = [
            ("namespace", &self.namespace),
            ("pod", &self.pod),
            ("name", &self.container),
        ];
        for (label, name) in labels {
            if let Some(name) = name {
                write!(f, ",{label}={name}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_keys() {
        let key = |text: &str| text.parse::<Target>().map(|target| target.key);
        assert_eq!(key("pid:1"), Ok(TargetKey::Pid(1)));
        assert_eq!(
            key("pidns:4026532177"),
            Ok(TargetKey::PidNamespace(4_026_532_177))
        );
        let cut = TargetKey::Container("0123456789abcdef".into());
        assert_eq!(
            key("container:containerd://0123456789ABCDEF"),
            Ok(cut.clone())
        );
        assert_eq!(key("container:0123456789abcdef,pod=p"), Ok(cut));
        let cgroup = TargetKey::Cgroup("0123456789abcdef".into());
        assert_eq!(key("cgroup:0123456789abcdef"), Ok(cgroup));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "pid:7",
            "pidns:9,pod=a",
            "container:0123456789ab,namespace=n,name=c",
            "cgroup:0123456789ab,name=c",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn errors_name_the_text_and_the_form() {
        let error = |text: &str| text.parse::<Target>().unwrap_err().to_string();
        assert_eq!(
            error("4711"),
            r#"target "4711": write pid:N, container:ID, cgroup:ID or pidns:INODE"#
        );
        assert!(error("").contains("pid:N"));
        for text in [
            "pid:0",
            "pid:-1",
            "pid:+1",
            "pid:4294967296",
            "pid: 1",
            "pidns:x",
            "pid:",
        ] {
            assert!(error(text).contains("is not a whole number"), "{text}");
        }
        assert!(error("container:web").contains("64 hex digits"));
        for text in [
            "pid:1,pod",
            "pid:1,pod=",
            "pid:1,pod=a,pod=b",
            "pid:1,node=a",
            "pid:1,",
        ] {
            assert!(error(text).contains("each once"), "{text}");
        }
    }
}
