//! `x-tracer parse`: recorded output of a tool to records.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use anyhow::{Context, anyhow};
use probeparser::{Line, Parsed, Parser, Probe};

use crate::console::say;
use crate::exit::{Exit, Failure};
use crate::show::{Format, classic, columns, json, sanitize, yaml};

/// Longest line that is read, in bytes: some hundred times what an exec's arguments come to.
const MAX_LINE: u64 = 16 << 20;
/// Bytes that are read and written at a time.
const BUFFER: usize = 256 << 10;

/// What `x-tracer parse` was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    /// The tool that printed the lines.
    pub(crate) probe: Probe,
    /// The form of the records.
    pub(crate) format: Format,
}

/// Reads standard input to its end, writes a line a record to standard output and the complaints
/// to standard error. The status is [`Exit::Failed`] if there were any.
///
/// # Errors
/// When reading or writing fails. A reader that has seen enough is no error.
pub(crate) fn run(config: Config) -> Result<Exit, Failure> {
    let input = unbuffered(&io::stdin()).context("standard input")?;
    let output = unbuffered(&io::stdout()).context("standard output")?;
    let terminal = output.is_terminal();
    let mut records = Records {
        format: config.format,
        terminal,
        text: Vec::with_capacity(1024),
        output: BufWriter::with_capacity(BUFFER, output),
    };
    let mut input = BufReader::with_capacity(BUFFER, input);
    match parse(Parser::new(config.probe), &mut input, &mut records) {
        Ok(Count { bad: 0, .. }) => Ok(Exit::Done),
        Ok(Count { bad, lines }) => {
            say(format!(
                "{bad} of {lines} lines are none of {}'s",
                config.probe
            ));
            Ok(Exit::Failed)
        }
        Err(Broken::Input(error)) => Err(anyhow!("standard input: {error}").into()),
        Err(Broken::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(Broken::Output(error)) => Err(anyhow!("standard output: {error}").into()),
    }
}

/// A descriptor without the standard library's own buffers, which would be a second copy.
fn unbuffered(stream: &impl AsFd) -> io::Result<File> {
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

struct Count {
    lines: u64,
    bad: u64,
}

enum Broken {
    Input(io::Error),
    Output(io::Error),
}

fn parse(
    mut parser: Parser,
    input: &mut BufReader<impl Read>,
    records: &mut Records<impl Write>,
) -> Result<Count, Broken> {
    let mut count = Count { lines: 0, bad: 0 };
    let mut line = Vec::new();
    loop {
        if input.buffer().is_empty() {
            // The next read may wait, for instance for `tail -f`.
            records.output.flush().map_err(Broken::Output)?;
        }
        line.clear();
        let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        if read.map_err(Broken::Input)? == 0 {
            return Ok(count);
        }
        count.lines += 1;
        let bad = if line.len() as u64 == MAX_LINE && !line.ends_with(b"\n") {
            input.skip_until(b'\n').map_err(Broken::Input)?;
            Some(format!("longer than {MAX_LINE} bytes"))
        } else {
            match parser.line(&line) {
                Ok(Parsed::Record { record, clock }) => {
                    let line = Line {
                        sys_time: clock,
                        record,
                    };
                    records.write(&line).map_err(Broken::Output)?;
                    None
                }
                Ok(Parsed::Banner | Parsed::Header) => None,
                Err(error) => Some(error.to_string()),
            }
        };
        if let Some(complaint) = bad {
            count.bad += 1;
            say(format!("line {}: {complaint}", count.lines));
        }
    }
}

/// Where the records go.
struct Records<W: Write> {
    format: Format,
    terminal: bool,
    text: Vec<u8>,
    output: BufWriter<W>,
}

impl<W: Write> Records<W> {
    fn write(&mut self, line: &Line) -> io::Result<()> {
        self.text.clear();
        match self.format {
            Format::Classic => classic::line(&mut self.text, line.sys_time, &line.record),
            Format::Columns => {
                let nowhere = columns::Place::default();
                columns::record(&mut self.text, line.sys_time, &nowhere, &line.record, false);
            }
            Format::Json => {
                serde_json::to_writer(&mut self.text, line)?;
                if self.terminal {
                    let object = String::from_utf8_lossy(&self.text).into_owned();
                    self.text = sanitize::json_for_terminal(object).into_bytes();
                }
                self.text.push(b'\n');
            }
            Format::JsonPretty => json::pretty(&mut self.text, line, self.terminal),
            Format::Yaml => yaml::document(&mut self.text, line),
        }
        self.output.write_all(&self.text)
    }
}
