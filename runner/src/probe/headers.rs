//! Whether BCC can find headers of the running kernel: without them it compiles nothing.

use std::path::Path;

/// BCC's own setting for a header folder.
const SOURCE_VARIABLE: &str = "BCC_KERNEL_SOURCE";

/// The running kernel's release, e.g. `6.1.0-44-amd64`.
pub(crate) fn release() -> String {
    nix::sys::utsname::uname().map_or_else(
        |_| "unknown".to_owned(),
        |name| name.release().to_string_lossy().into_owned(),
    )
}

/// Where headers are, in the order in which BCC looks; `None` when it will find none.
pub(crate) fn source(release: &str) -> Option<String> {
    if let Some(folder) = std::env::var_os(SOURCE_VARIABLE)
        && Path::new(&folder).is_dir()
    {
        return Some(format!("{SOURCE_VARIABLE}={}", folder.to_string_lossy()));
    }
    // `build` is a link: the folder that it leads to has to be there, too.
    [
        format!("/lib/modules/{release}/build"),
        format!("/lib/modules/{release}/source"),
        "/sys/kernel/kheaders.tar.xz".to_owned(),
        format!("/lib/modules/{release}/kernel/kernel/kheaders.ko"),
        format!("/lib/modules/{release}/kernel/kernel/kheaders.ko.xz"),
        format!("/lib/modules/{release}/kernel/kernel/kheaders.ko.zst"),
    ]
    .into_iter()
    .find(|path| Path::new(path).exists())
}

/// What to do when there are none.
pub(crate) fn remedy(release: &str) -> String {
    format!(
        "install the headers of kernel {release} on the node (Debian, Ubuntu: linux-headers-{release}; \
         Fedora, RHEL: kernel-devel-{release}) and mount the node's /lib/modules and /usr/src into the \
         agent's pod, or point {SOURCE_VARIABLE} at them, or load the module kheaders"
    )
}
