"""Every scenario there has to be: its name, what is done, and what must be seen. Ids are those of the catalogue.

A scenario that stands here and is written nowhere is shown as missing, and that is a failure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One line of the catalogue."""

    id: str
    title: str
    expected: str
    """The figures it passes at."""
    reasoned_away: str = ""
    """Why it cannot be had here, where it cannot."""


MOST_REASONED_AWAY = 5

CATALOGUE = (
    Entry("U01", "connection refused, first of two", "10,000 answered, 0 errors; added p99 ≤ 20 ms"),
    Entry(
        "U02", "connections time out (SYN black hole)",
        "cut at 2 s ± 10 %, then the other; left alone after 5; probe p99 ≤ 1.25×",
    ),
    Entry(
        "U03", "reset after accept, request, headers",
        "before a byte ≤ 2 attempts, answered; after it an error, 0 retried; 5 % resets: ≥ 99.9 % answered",
    ),
    Entry("U04", "headers a byte at a time", "cut at first_header_s ± 10 %; 0 tasks left"),
    Entry("U05", "first token never comes", "cut at first_token_s ± 10 %; the other answers 100 %"),
    Entry(
        "U06", "stall after 1, 5, 500 events",
        "cut at idle_s ± 1 s; an error of its own dialect 4/4; no clean end",
    ),
    Entry("U07", "heartbeats and nothing else", "no progress: cut at the clock; the total holds"),
    Entry(
        "U08", "streams cut at 200 offsets × 4 dialects",
        "800 errors in the SDKs, 0 short successes; whole events, valid UTF-8",
    ),
    Entry("U09", "streams sliced every way", "1,000 of 1,000 the same content"),
    Entry(
        "U10", "answers that are none, 5 × stream or not",
        "502 upstream_invalid_response, ≤ 1 retry, 0 tracebacks, ≤ 512 B echoed",
    ),
    Entry("U11", "errors under status 200", "the other answers 100 %; no usage; counted by the breaker"),
    Entry(
        "U12", "429 with Retry-After of all kinds",
        "waited for ± 10 % where it fits, else the other at once; only that key rests",
    ),
    Entry("U13", "429 for one key, no Retry-After", "≤ 1.2 calls a call; the other takes over ≤ 1 s"),
    Entry("U14", "500 for 60 s, then well", "≤ 1.2 × + 3 calls; ≥ 99 % after ≤ 10 s; peak ≤ 1.5 ×"),
    Entry("U15", "500 for 10 % at random", "≤ 1 % ± 0.3 errors with one retry; retries ≤ 20 %"),
    Entry("U16", "all deployments bad", "never 0 candidates; fails in p99 ≤ 50 ms"),
    Entry("U17", "fallback cycle, poison request", "refused by check; 0 upstream calls, 1 error, < 50 ms CPU"),
    Entry(
        "U18", "1 GiB body, 64 MiB line, 10⁶ headers",
        "refused at the bound; memory ≤ 2 × bound; probe p99 ≤ 1.25×",
    ),
    Entry("U19", "streams without end", "cut at total_s; accounted ± 1 chunk"),
    Entry("U20", "decompression bombs", "error ≤ 1 s; memory ≤ + 64 MB; lag ≤ 50 ms"),
    Entry("U21", "bad TLS, 7 kinds", "0 requests sent; handshake clock; CA renewed without a restart"),
    Entry("U22", "bad DNS, 7 kinds", "lag ≤ 50 ms; other address ≤ 300 ms; change followed ≤ TTL + 5 s"),
    Entry("U23", "idle connections closed by the upstream", "0 errors of 10,000"),
    Entry("U24", "HTTP/2 faults", "as U03", reasoned_away="the transport speaks HTTP/1.1"),
    Entry("U25", "1xx, 204, redirects", "not followed; the key is shown to nobody else"),
    Entry("U26", "answers out of turn", "0 of 100,000 to another request"),
    Entry("U27", "broken usage and tool deltas, 12 kinds", "12 of 12 by the table; absurd figures flagged"),
    Entry("U28", "one model ten times as slow", "the others' p99 ≤ 1.25×"),
    Entry("SELECT", "1,000 deployments behind a route", "chosen from in < 20 µs, by every strategy"),
    Entry("C01", "200 readers at 100 B/s", "≤ 64 KiB each + 16 MB; cut at the write clock; probe p99 ≤ 1.1×"),
    Entry(
        "C02", "10,000 disconnects at random points",
        "10,000 rows; upstream closed ≤ 500 ms; 1,000 drained to the token; nothing left",
    ),
    Entry(
        "C03", "disconnects in unary calls, queues, retry waits, under a key",
        "in the queue 0 calls; accounted 100 %; no retry afterwards",
    ),
    Entry("C04", "1,000 disconnects at once", "drains ≤ bound; the rest estimated; 0 lost"),
    Entry(
        "C05", "2,000 slow senders",
        "heads cut at 10 s, bodies after 30 s of silence; others 0 errors; descriptors back ≤ 15 s",
    ),
    Entry(
        "C06", "10,000 idle connections",
        "closed at 75 s; accept p99 ≤ 50 ms (fewer where the open files do not suffice)",
    ),
    Entry("C07", "lying lengths, endless bodies", "413 or 400 within the bound + 64 KiB"),
    Entry("C08", "compressed request bombs", "refused (400, 413, 415); CPU ≤ 100 ms; memory ≤ + 32 MB"),
    Entry(
        "C09", "hostile JSON, 30 kinds; strange JSON, 7",
        "400 for 30 of 30, ≤ 50 ms CPU; 0 workers lost; with the strange ones others wait ≤ 250 ms",
    ),
    Entry("C10", "malformed HTTP, 5,000 seeds", "0 crashes, 0 status 500, 0 forwarded"),
    Entry("C11", "hostile multipart at 14 doors", "no such door: all refused; 0 files left"),
    Entry("C12", "10,000 connections opened and closed", "answered in p99 ≤ 50 ms; TLS refused at once (a proxy's)"),
    Entry("C13", "one Idempotency-Key, 50 at once, again, other body", "1 call; 50 equal answers; mismatch refused"),
    Entry("C14", "header bombs", "431 or 400; nothing unescaped in the log"),
    Entry("C15", "WebSockets", "no such door: refused in HTTP at once; nothing left"),
    Entry("P05", "SIGTERM with 200 streams open", "200 finish; new ones refused ≤ 100 ms; exit 0; 0 lost"),
    Entry("P07", "worker dies", "another ≤ 1 s; only its own calls lost; crash loops back off"),
    Entry("P08", "event loop blocked", "stack dump ≤ 1 s; worker replaced at 10 s"),
    Entry("P09", "end of a stream of 500,000 tokens", "lag ≤ 50 ms"),
    Entry("P10", "out of file descriptors", "no crash, no spin; 503; healthy ≤ 2 s after"),
    Entry("P11", "memory pressure", "shed at 85 %, refused at 95 %; 0 killed; probe ≤ 1 % errors"),
    Entry("P12", "processor starved", "interactive ≥ 95 % while batch is shed"),
    Entry("P15", "200 reloads in 10,000 requests", "0 errors; 0 mixed; bad ones refused"),
    Entry("P17", "client pools evicted in use", "0 errors of 50,000"),
    Entry("P19", "start without network, HOME, writable root", "starts; 0 sockets outward"),
    Entry("P20", "10,000 idle streams, 1,000 active", "≤ 32 KiB each; p99 ≤ 1.5×"),
    Entry("MEMORY", "200,000 mixed requests", "memory grows by < 1 MiB per 10,000"),
)  # fmt: skip
"""In the order they are run."""
