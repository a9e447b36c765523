//! `sys.stdout` and `sys.stderr` of a tool, and the calls that the Python glue makes into the host.

use std::os::fd::BorrowedFd;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use super::{port, trim};
use crate::probe::frame::Frame;

/// Which of the two standard streams an object stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Channel {
    Out,
    Err,
}

impl Channel {
    fn write(self, py: Python<'_>, bytes: &[u8]) -> PyResult<()> {
        match self {
            Channel::Out => port::write(py, bytes),
            Channel::Err => {
                write_fd(2, bytes);
                Ok(())
            }
        }
    }
}

/// Writes to a descriptor that the agent reads, e.g. the pipe on 2. A reader that is gone is no
/// error of the tool's.
pub(super) fn write_fd(fd: i32, mut bytes: &[u8]) {
    // SAFETY: descriptors 0 to 2 are open for as long as this process lives.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    while !bytes.is_empty() {
        match nix::unistd::write(fd, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

/// A text stream. It takes bytes as well, because `printb` falls back to that.
#[pyclass(frozen, module = "xtracer_probes")]
pub(super) struct TextStream(Channel);

/// The byte stream below a [`TextStream`]. Both write straight through, so that `print` and `printb`
/// keep their order.
#[pyclass(frozen, module = "xtracer_probes")]
struct ByteStream(Channel);

/// `sys.stdout` or `sys.stderr`.
pub(super) fn streams() -> (TextStream, TextStream) {
    (TextStream(Channel::Out), TextStream(Channel::Err))
}

#[pymethods]
#[expect(clippy::unused_self, reason = "methods of Python's stream protocol")]
impl TextStream {
    fn write(&self, text: &Bound<'_, PyAny>) -> PyResult<usize> {
        let Ok(text) = text.cast::<PyString>() else {
            return write_bytes(self.0, text);
        };
        if let Ok(utf8) = text.to_str() {
            self.0.write(text.py(), utf8.as_bytes())?;
        } else {
            // Lone surrogates are bytes that Python could not decode: give those bytes back.
            let encode = |errors| text.call_method1("encode", ("utf-8", errors));
            let bytes = encode("surrogateescape").or_else(|_| encode("replace"))?;
            self.0
                .write(text.py(), bytes.cast::<PyBytes>()?.as_bytes())?;
        }
        text.len()
    }

    fn writelines(&self, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(&line?)?;
        }
        Ok(())
    }

    #[getter]
    fn buffer(&self) -> ByteStream {
        ByteStream(self.0)
    }

    #[classattr]
    fn encoding() -> &'static str {
        "utf-8"
    }

    #[classattr]
    fn errors() -> &'static str {
        "surrogateescape"
    }

    #[classattr]
    fn closed() -> bool {
        false
    }

    #[getter]
    fn name(&self) -> &'static str {
        match self.0 {
            Channel::Out => "<stdout>",
            Channel::Err => "<stderr>",
        }
    }

    fn flush(&self) {}

    fn close(&self) {}

    fn isatty(&self) -> bool {
        false
    }

    fn writable(&self) -> bool {
        true
    }

    fn readable(&self) -> bool {
        false
    }

    /// Tools that ask for line buffering already have it.
    #[pyo3(signature = (**_options))]
    fn reconfigure(&self, _options: Option<&Bound<'_, pyo3::types::PyDict>>) {}
}

#[pymethods]
#[expect(clippy::unused_self, reason = "methods of Python's stream protocol")]
impl ByteStream {
    fn write(&self, bytes: &Bound<'_, PyAny>) -> PyResult<usize> {
        write_bytes(self.0, bytes)
    }

    fn flush(&self) {}

    fn writable(&self) -> bool {
        true
    }
}

fn write_bytes(channel: Channel, object: &Bound<'_, PyAny>) -> PyResult<usize> {
    let py = object.py();
    if let Ok(bytes) = object.cast::<PyBytes>() {
        channel.write(py, bytes.as_bytes())?;
        return Ok(bytes.as_bytes().len());
    }
    let buffer = PyBuffer::<u8>::get(object)
        .map_err(|_| PyTypeError::new_err("a stream takes str or bytes"))?;
    let bytes = buffer.to_vec(py)?;
    channel.write(py, &bytes)?;
    Ok(bytes.len())
}

/// What the Python glue asks of the host.
#[pyclass(frozen, module = "xtracer_probes")]
pub(super) struct Host;

#[pymethods]
#[expect(
    clippy::unused_self,
    reason = "the state is one per process; Python wants an object"
)]
impl Host {
    /// True once the tool is to end.
    #[getter]
    fn stopping(&self) -> bool {
        port::stopping()
    }

    /// True inside an event callback, where nothing may be raised.
    #[getter]
    fn in_callback(&self) -> bool {
        port::in_callback()
    }

    fn request_stop(&self) {
        port::request_stop();
    }

    /// A program was loaded.
    fn loaded(&self) {
        port::loaded();
    }

    /// The tool begins to wait for events; true at the first call.
    fn attached(&self) -> bool {
        port::attached()
    }

    /// The program holds the in-kernel filter.
    fn filtering(&self) {
        port::tell(&Frame::Filtering);
    }

    /// The kernel dropped `count` samples of a buffer.
    fn lost(&self, buffer: String, count: u64) {
        port::tell(&Frame::Lost { buffer, count });
    }

    /// What is dead in this tool could be healed, if it is this.
    fn healable(&self, dead: String) {
        port::tell(&Frame::Healable(dead));
    }

    /// The tool runs with something that heals it, for this reason.
    fn healed(&self, reason: String) {
        port::tell(&Frame::Healed(reason));
    }

    fn note(&self, text: String) {
        port::tell(&Frame::Note(text));
    }

    /// One row of a screen as one line.
    fn row(&self, bytes: &[u8], is_event: bool) {
        port::row(bytes, is_event);
    }

    /// Sends what has gathered; between polls.
    fn flush(&self) {
        port::nudge();
    }

    /// `inner` as a callback whose output is one event.
    fn callback(&self, inner: Py<PyAny>) -> Callback {
        Callback { inner }
    }

    /// The tool has compiled its programs: what only that needed goes back to the system.
    fn trim(&self) {
        trim::heap();
        trim::mapped_files();
    }
}

/// A tool's event callback with the borders of the event around it.
#[pyclass(frozen, module = "xtracer_probes")]
struct Callback {
    inner: Py<PyAny>,
}

#[pymethods]
impl Callback {
    #[pyo3(signature = (*given))]
    fn __call__(&self, py: Python<'_>, given: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        port::begin_callback();
        let result = self.inner.call1(py, given);
        port::end_callback(result.is_err());
        result
    }
}
