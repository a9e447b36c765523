//! Processes of several threads: the table speaks of the process as long as one of them lives.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use x_agent::scope::{By, Verdict};

use crate::space::{Running, Space, is_root, owner, scope, trace};

/// Starts a Python program in the namespace and waits until it has printed a line.
fn python(space: &Space, program: &'static str) -> (Running, String) {
    space.run(move || {
        let mut child = Command::new("python3")
            .args(["-c", program])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .expect("its line");
        (Running(child), line)
    })
}

#[test]
fn a_process_outlives_its_first_thread() {
    if !is_root("threads") {
        return;
    }
    let scope = scope();
    let target = Space::new();
    let before = trace(&scope, &target);
    // System call 60 (93 on arm64) ends the calling thread alone.
    let (child, line) = python(
        &target,
        "import ctypes, platform, threading, time\n\
         def other():\n\
         \x20   while open('/proc/self/stat').read().rsplit(') ', 1)[1][0] != 'Z':\n\
         \x20       pass\n\
         \x20   print('first thread gone', flush=True)\n\
         \x20   time.sleep(1000)\n\
         threading.Thread(target=other).start()\n\
         ctypes.CDLL(None).syscall(60 if platform.machine() == 'x86_64' else 93, 0)\n",
    );
    assert_eq!(line, "first thread gone\n");
    scope.remove(before).unwrap();

    // Added after the first thread's end: had that been noted as the process' death, it would
    // now be nobody's.
    let id = trace(&scope, &target);
    let expected = Verdict::In {
        target: id,
        pid_ns: Some(2),
        by: By::Kernel,
    };
    assert_eq!(scope.verdict(child.id()), expected);
    let pid = child.id();
    drop(child);
    assert_eq!(scope.verdict(pid), expected);
}

#[test]
fn a_thread_may_call_exec() {
    if !is_root("exec by a thread") {
        return;
    }
    let scope = scope();
    let target = Space::new();
    let id = trace(&scope, &target);
    let (child, line) = python(
        &target,
        "import os, threading\n\
         command = ['sh', '-c', 'echo $$; exec sleep 1000']\n\
         threading.Thread(target=lambda: os.execvp('sh', command)).start()\n\
         threading.Event().wait()\n",
    );
    assert_eq!(line, "2\n", "it keeps the process' number");
    assert_eq!(owner(scope.verdict(child.id())), Some((id, By::Kernel)));
    let pid = child.id();
    drop(child);
    assert_eq!(owner(scope.verdict(pid)), Some((id, By::Kernel)));
}
