"""nginx in its two parts: the upstream that answers at once, and the plain reverse proxy that is the limit."""

from __future__ import annotations

import getpass
import os
import shutil
from typing import Final

from .bodies import ANSWER
from .problems import BenchImpossible
from .processes import Launch

INSTALL: Final = "apt-get install nginx wrk"
_FOREVER: Final = 1_000_000_000


def find(program: str) -> str:
    """The path of nginx or wrk. Raises BenchImpossible with the line to type."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise BenchImpossible(f"{program} is not installed.", hint=INSTALL)
    return path


def static_upstream(port: int) -> Launch:
    """Answers every request with the one chat completion, and keeps connections."""
    return _launch(f"""
    server {{
        listen 127.0.0.1:{port};
        location / {{
            default_type application/json;
            return 200 '{ANSWER.decode()}';
        }}
    }}
""")


def reverse_proxy(port: int, upstream: int) -> Launch:
    """Passes everything on over kept connections, with no logging; what is streamed is not held back."""
    return _launch(f"""
    upstream up {{
        server 127.0.0.1:{upstream};
        keepalive 256;
        keepalive_requests {_FOREVER};
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://up;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
""")


def _launch(http: str) -> Launch:
    temporary = "\n".join(
        f"    {kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    config = f"""
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile 8192;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests {_FOREVER};
{temporary}
{http}
}}
"""
    return Launch(command=(find("nginx"), "-p", ".", "-c", "nginx.conf"), files={"nginx.conf": config})
