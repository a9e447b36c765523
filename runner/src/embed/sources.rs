//! The Python glue, carried inside the binary and imported from memory: nothing is unpacked.

use std::ffi::CString;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule};

/// Module names and their text, as they are in the repository.
const SOURCES: &[(&str, &str)] = &[
    (
        "xtracer_probes",
        include_str!("../../../probes-py/xtracer_probes/__init__.py"),
    ),
    (
        "xtracer_probes.attach",
        include_str!("../../../probes-py/xtracer_probes/attach.py"),
    ),
    (
        "xtracer_probes.hooks",
        include_str!("../../../probes-py/xtracer_probes/hooks.py"),
    ),
    (
        "xtracer_probes.host",
        include_str!("../../../probes-py/xtracer_probes/host.py"),
    ),
    (
        "xtracer_probes.pidns",
        include_str!("../../../probes-py/xtracer_probes/pidns.py"),
    ),
    (
        "xtracer_probes.screen",
        include_str!("../../../probes-py/xtracer_probes/screen.py"),
    ),
];

/// The importer that serves them; it is itself the first thing that runs.
const IMPORTER: &str = include_str!("../../../probes-py/importer.py");

/// Makes `import xtracer_probes` work in this interpreter.
///
/// # Errors
/// A Python exception of the importer itself.
pub(super) fn install(py: Python<'_>) -> PyResult<()> {
    let texts = PyDict::new(py);
    for (name, text) in SOURCES {
        texts.set_item(name, text)?;
    }
    let importer = PyModule::from_code(
        py,
        &CString::new(IMPORTER)?,
        c"<x-agent>/importer.py",
        c"xtracer_importer",
    )?;
    importer.call_method1("install", (texts,)).map(drop)
}
