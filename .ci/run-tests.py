"""Runs test binaries that `cargo test --no-run --message-format=json` built, as cargo would run them.

usage: run-tests.py <uid>, the messages on standard input. Becomes that user first, without groups.
Fails on the first binary that fails, or when no test ran at all.
"""

import json
import os
import re
import subprocess
import sys

SECONDS_PER_BINARY = 600

uid = int(sys.argv[1])
if os.getuid() != uid:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)

ran = 0
for line in sys.stdin:
    message = json.loads(line)
    if message.get("reason") != "compiler-artifact" or not message.get("executable"):
        continue
    if not message["profile"]["test"]:
        continue
    package = os.path.dirname(message["manifest_path"])
    binary, kind = message["executable"], message["target"]["kind"][0]
    print(f"--- {kind} {message['target']['name']}", flush=True)
    done = subprocess.run(
        [binary, "--show-output"],
        cwd=package,
        env={**os.environ, "CARGO_MANIFEST_DIR": package},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=SECONDS_PER_BINARY,
    )
    results = re.findall(r"^test result: .*", done.stdout, re.MULTILINE)
    if done.returncode != 0 or not results:
        print(done.stdout)
        sys.exit(f"failed as uid {uid}: {binary} ended with {done.returncode}")
    for line in re.findall(r"^.*\bskipped: .*", done.stdout, re.MULTILINE):
        print(line)
    print(results[-1])
    ran += int(re.search(r"(\d+) passed", results[-1])[1])

if ran == 0:
    sys.exit("no test ran")
print(f"{ran} tests passed as uid {uid}")
