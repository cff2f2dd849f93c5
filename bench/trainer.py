"""Compiling, building and running what intrain writes."""
import json
import os
import resource
import subprocess
import sys


class Refused(Exception):
    """intrain or the C compiler says no; the last line of what it said."""


def run(*command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(env or {})})
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Refused(f"{os.path.basename(command[0])} {command[1] if len(command) > 1 else ''}: "
                      f"{said[-1] if said else done.returncode}")
    return done.stdout


def processor_seconds():
    """Used by all ended processes that this one started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compiled(intrain, model, folder, options):
    run(intrain, "compile", model, "-o", folder, "-q", *options)
    run("make", "-s", "-C", folder)
    return os.path.join(folder, "trainer")


def events(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def version(intrain):
    said = run(intrain, "--version").split()
    commit = subprocess.run(["git", "-C", os.path.dirname(os.path.abspath(__file__)), "rev-parse", "--short", "HEAD"],
                            capture_output=True, text=True).stdout.strip()
    return " ".join(said + [commit])


def absolute(program):
    path = os.path.abspath(program)
    if not os.access(path, os.X_OK):
        sys.exit(f"{path}: not there; build intrain first or give --intrain")
    return path
