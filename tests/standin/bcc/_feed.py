"""What the processes of an imaginary machine do, and how each tool's kernel part would report it.

An *act* is a dict that says what one process did once. Every tool takes from it what its own
program would have sent: the tcp tools an address pair, execsnoop one event an argument and one for
the return, biosnoop a request, cachetop and cachestat page counts.
"""
import json
import os
import socket
import types

from . import _settings

# Addresses of the functions that cachetop and cachestat look up by instruction pointer (BCC <= 0.26).
SYMBOLS = {1: b"add_to_page_cache_lru", 2: b"mark_page_accessed", 3: b"mark_buffer_dirty"}
# What kernels with folios have in their place; an instruction pointer is in what was attached to.
FOLIOS = {1: b"filemap_add_folio", 2: b"folio_mark_accessed"}
# The same functions as numbered by the programs of BCC >= 0.27, which know no address.
_NUMBERS = {1: 0, 2: 1, 3: 2}

_DEFAULT = dict(
    pid=1, tid=1, ppid=1, uid=0, comm=b"", family=4, saddr="127.0.0.1", daddr="127.0.0.1",
    sport=1, dport=1, type="connect", at_us=0, tx_b=0, rx_b=0, span_us=0,
    filename=b"/bin/true", argv=(), retval=0, pcomm=b"sh", cpu=0,
    disk=b"sda", dev=8 << 20, rw="R", sector=0, bytes=0, que_ns=0, lat_ns=0, pattern=0,
    pages_added=0, pages_accessed=0, buffers_dirtied=0,
)


def act(**given):
    """One act; what is not given is something dull."""
    return {**_DEFAULT, **given}


def ordinary():
    """The cases that every column has to survive, friendly and hostile."""
    v6 = dict(family=6, saddr="2001:db8::10", daddr="2001:db8::1234:5678:9abc:def0")
    mapped = dict(family=6, saddr="::ffff:127.0.0.1", daddr="::ffff:10.244.1.17")
    acts = [
        act(pid=20656, comm=b"iperf3", daddr="10.244.1.17", sport=42334, dport=6001, uid=1000,
            tx_b=4070701056, rx_b=0, span_us=2043190, filename=b"/usr/bin/iperf3",
            argv=(b"-c", b"localhost", b"-p", b"6001"), disk=b"sda", rw="W", sector=12345678,
            bytes=4096, lat_ns=520000, pages_accessed=411),
        act(pid=8592, comm=b"tmux: server", type="close", at_us=2500000, sport=6001, dport=42336,
            rx_b=4070963200, span_us=1234567, filename=b"/bin/sh", argv=(b"-c", b"a\nb"), disk=b"nvme0n1", dev=259 << 20,
            sector=1953525160, bytes=1048576, que_ns=10000, lat_ns=1234570000,
            pages_added=32, pages_accessed=31, buffers_dirtied=7, **mapped),
        act(pid=312, comm=b"averylongcomm15", type="accept", at_us=2600000, sport=443, dport=55555, **v6),
        # 10 000 s and 1 000 s are where cells begin to touch.
        act(pid=4194304, comm=b"late", uid=1000660000, at_us=10000 * 1000000, sport=65535, dport=65535,
            bytes=10485760, lat_ns=1000 * 1000000),
        act(pid=7, comm=b"", at_us=3000000, filename=b"/bin/ls"),
        act(pid=8, comm=b"a\nb", at_us=3100000, argv=(b"one", b"\xff\xfe"), pages_accessed=5),
        act(pid=9, comm=b"\x1b[31mred\x1b]0;t\x07", at_us=3200000, argv=(b"\x1b[2J",), pages_accessed=4),
        act(pid=10, comm=b"caf\xc3\xa9 \xff\xfe", at_us=3300000, argv=(b"\xc3\xa9",), pages_accessed=3),
        act(pid=11, comm=b"  two  words ", at_us=3400000, argv=(b"", b""), pages_accessed=2),
        # A name that would pass for a whole line, if a line were what counts.
        act(pid=12, comm=b"x\n1 C 666 root", at_us=3500000),
        act(pid=13, comm=b"a,b,4,\"q\"", at_us=3600000, ppid=0, **v6),
        act(pid=0, comm=b"swapper/3", at_us=2400000, disk=b"", lat_ns=0),
    ]
    return acts


def acts():
    """The acts that the settings ask for: a file of them, or the ordinary ones."""
    given = ordinary()
    if _settings.EVENTS:
        with open(_settings.EVENTS, encoding="utf-8") as source:
            given = [_from_json(entry) for entry in json.load(source)]
    for _ in range(_settings.REPEAT):
        yield from given


def known():
    """What the agent's canary does, as far as the settings let the tools see it."""
    pid = _canary() if _settings.CANARY else None
    if pid is None:
        return []
    families = [dict(family=4)]
    if "ipv6" in _settings.CANARY:
        families.append(dict(family=6, saddr="::1", daddr="::1"))
    return [act(pid=pid, comm=b"x-canary", type=kind, rw="W" if kind == "connect" else "R", bytes=4096,
                tx_b=3 << 10, rx_b=5 << 10, filename=b"/proc/self/exe", argv=(b"canary",),
                pages_added=5, pages_accessed=4, buffers_dirtied=1, **family)
            for family in families for kind in ("connect", "accept", "close") if kind in _settings.CANARY]


def _canary():
    """The number of the canary: a child of the agent, whose other child is our parent."""
    agent = _status(os.getppid())["PPid"]
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and (status := _status(entry))["PPid"] == agent and status["Name"] == "x-canary":
                return int(entry)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return None


def _status(pid):
    with open("/proc/%s/status" % pid, encoding="utf-8", errors="replace") as text:
        return dict(line.rstrip("\n").split(":\t", 1) for line in text if ":\t" in line)


def _from_json(entry):
    if "control" in entry:
        return entry
    plain = {}
    for key, value in entry.items():
        if key.endswith("_hex"):
            key, value = key[:-4], bytes.fromhex(value)
        elif key in ("comm", "pcomm", "filename", "disk"):
            value = value.encode("utf-8", "surrogateescape")
        elif key == "argv":
            value = [word.encode("utf-8", "surrogateescape") for word in value]
        plain[key] = value
    return act(**plain)


def socket_event(a):
    """The fields of every tcp tool's event; each tool reads those it knows."""
    six = a["family"] == 6
    address = (lambda text: socket.inet_pton(socket.AF_INET6, text)) if six else (
        lambda text: int.from_bytes(socket.inet_pton(socket.AF_INET, text), "little"))
    return types.SimpleNamespace(
        ts_us=a["at_us"] + 1, ts_ns=(a["at_us"] + 1) * 1000, pid=a["pid"], uid=a["uid"], ip=a["family"],
        comm=_c_string(a["comm"]), task=_c_string(a["comm"]),
        saddr=address(a["saddr"]), daddr=address(a["daddr"]),
        sport=a["sport"], lport=a["sport"], dport=a["dport"], ports=a["sport"] << 32 | a["dport"],
        netns=4026532402, type={"connect": 1, "accept": 2, "close": 3}.get(a["type"], 9),
        tx_b=a["tx_b"], rx_b=a["rx_b"], span_us=a["span_us"])


def exec_events(a):
    """One event an argument, the file's name first, and one for the return."""
    common = dict(pid=a["pid"], ppid=a["ppid"], uid=a["uid"], comm=_c_string(a["comm"]),
                  pcomm=_c_string(a["pcomm"]), cpu=a["cpu"])
    for word in (a["filename"], *a["argv"]):
        yield types.SimpleNamespace(type=0, argv=word.split(b"\0")[0][:127], retval=0, **common)
    yield types.SimpleNamespace(type=1, argv=b"", retval=a["retval"], **common)


def block_event(a):
    """One finished request."""
    return types.SimpleNamespace(
        ts=a["at_us"] + 1, pid=a["pid"], name=_c_string(a["comm"]) if a["pid"] else b"?",
        disk_name=a["disk"], dev=a["dev"], rwflag=int(a["rw"] == "W"), sector=a["sector"],
        len=a["bytes"], qdelta=a["que_ns"], delta=a["lat_ns"], pattern=a["pattern"])


def page_counts(a):
    """(key, value) pairs of the hash that cachetop and cachestat read."""
    for ip, field in ((1, "pages_added"), (2, "pages_accessed"), (3, "buffers_dirtied")):
        if a[field]:
            key = types.SimpleNamespace(ip=ip, nf=_NUMBERS[ip], pid=a["pid"], uid=a["uid"],
                                        comm=_c_string(a["comm"]))
            yield key, types.SimpleNamespace(value=a[field])


def _c_string(raw):
    return raw.split(b"\0")[0][:15]
