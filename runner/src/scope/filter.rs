//! The pinned map by which the tools filter in the kernel: BPF hash, key the 64-bit inode of a
//! target's PID namespace, value 1 (32 bits).

use std::path::{Path, PathBuf};

use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

/// Targets at once.
const CAPACITY: u32 = 1024;
/// Below the root of the bpffs.
const FOLDER: &str = "xtracer";
const FILE: &str = "targets";

/// The map; its pin goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Filter {
    map: MapHandle,
    path: PathBuf,
}

impl Filter {
    /// Creates the map and pins it below `bpffs`, a mounted BPF file system.
    pub(crate) fn create(bpffs: &Path) -> Result<Self, String> {
        let folder = bpffs.join(FOLDER);
        let path = folder.join(FILE);
        let options = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as libbpf_sys::size_t,
            ..Default::default()
        };
        let mut map = MapHandle::create(
            MapType::Hash,
            Some("xtracer_targets"),
            8,
            4,
            CAPACITY,
            &options,
        )
        .map_err(|error| format!("cannot create the map of targets: {error:#}"))?;
        std::fs::create_dir(&folder)
            .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        if let Err(error) = map.pin(&path) {
            remove_folder(&folder);
            return Err(format!("cannot pin {}: {error:#}", path.display()));
        }
        Ok(Self { map, path })
    }

    /// Where the tools find it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets events of this namespace, and of those below it, pass.
    pub(crate) fn insert(&self, inode: u32) -> Result<(), String> {
        self.map
            .update(
                &u64::from(inode).to_ne_bytes(),
                &1u32.to_ne_bytes(),
                MapFlags::ANY,
            )
            .map_err(|error| format!("{error:#}"))
    }

    /// No longer lets them pass.
    pub(crate) fn remove(&self, inode: u32) {
        if let Err(error) = self.map.delete(&u64::from(inode).to_ne_bytes()) {
            // The agent judges each event again, so nothing foreign gets out.
            tracing::warn!(
                inode,
                "cannot take a target out of the tools' filter: {error:#}"
            );
        }
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        if let Err(error) = self.map.unpin(&self.path) {
            tracing::warn!("cannot remove {}: {error:#}", self.path.display());
        }
        if let Some(folder) = self.path.parent() {
            remove_folder(folder);
        }
    }
}

fn remove_folder(folder: &Path) {
    if let Err(error) = std::fs::remove_dir(folder) {
        tracing::warn!("cannot remove {}: {error}", folder.display());
    }
}
