"""The property matrix: every option and error of AMQP 0-9-1 as RabbitMQ has it, said by one client of our own.

Usage: matrix.py --amqp HOST:PORT --management HOST:PORT [--only WORD] [--jobs N]
           --record FILE | --compare FILE [--explained FILE] | --print

`--record` writes one JSON line a case: {"case": name, "transcript": [...]}. `--compare` says the same to another broker
and ends with 1 if a transcript differs and explained.json does not say why. An explanation is
{"case": pattern or list of them, "reason": text} with one of
    "replace": [[expression, text], ...]   how each entry of the recording (as JSON, keys sorted) is changed to be
                                           equal; an entry of which nothing is left is taken out
    "transcript": [...]                    what is heard in place of the recording
    "ignore": true                         nothing can be compared
and is itself an error when it explains nothing.
"""

import argparse
import concurrent.futures
import difflib
import fnmatch
import importlib
import json
import pkgutil
import re
import sys
import time

import cases
import session


def run(name, amqp, management):
    """The transcript of one case; what goes wrong in the client is part of it."""
    case = session.Case(name, amqp, management)
    for step in (lambda: cases.CASES[name](case), case.finish):
        try:
            step()
        except Exception as failure:
            case.transcript.append({"failed": f"{type(failure).__name__}: {failure}"})
    return case.transcript


def run_all(options):
    names = [name for name in cases.CASES if options.only in name]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        heard = pool.map(lambda name: run(name, options.amqp, options.management), names)
        return dict(zip(names, heard))


def lines(transcript):
    return [json.dumps(entry, ensure_ascii=False, sort_keys=True) for entry in transcript]


def covers(explanation, name):
    patterns = explanation["case"]
    return any(fnmatch.fnmatchcase(name, one) for one in (patterns if isinstance(patterns, list) else [patterns]))


def explained(explanation, recorded, heard):
    if explanation.get("ignore"):
        return True
    if "transcript" in explanation:
        return lines(explanation["transcript"]) == heard
    for pattern, text in explanation["replace"]:
        recorded = [re.sub(pattern, text, line) for line in recorded]
    return [line for line in recorded if line] == heard


def compare(options, heard):
    with open(options.compare, encoding="utf-8") as file:
        recorded = {one["case"]: one["transcript"] for one in map(json.loads, file)}
    explanations = []
    if options.explained:
        with open(options.explained, encoding="utf-8") as file:
            explanations = json.load(file)
    used, different, equal = set(), [], 0
    for name, transcript in heard.items():
        want, have = lines(recorded.get(name, [])), lines(transcript)
        if want == have:
            equal += 1
            continue
        reasons = [
            at
            for at, one in enumerate(explanations)
            if covers(one, name) and explained(one, want, have)
        ]
        used.update(reasons)
        if not reasons:
            different.append(name)
            print(f"--- {name}")
            print("\n".join(list(difflib.unified_diff(want, have, "recorded", "heard", lineterm="", n=30))[2:]))
    idle = [] if options.only else [one for at, one in enumerate(explanations) if at not in used]
    for one in idle:
        print(f"--- explains nothing: {one['case']}: {one['reason']}")
    print(f"{len(heard)} cases: {equal} equal, {len(heard) - equal - len(different)} explained, {len(different)} different")
    if different:
        print("different: " + "; ".join(different))
    return 1 if different or (idle and not options.lenient) else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--amqp", required=True)
    parser.add_argument("--management", required=True)
    parser.add_argument("--only", default="", help="cases whose names have this in them")
    parser.add_argument("--jobs", type=int, default=6)
    parser.add_argument("--record")
    parser.add_argument("--compare")
    parser.add_argument("--explained")
    parser.add_argument("--lenient", action="store_true", help="an explanation may explain nothing")
    parser.add_argument("--print", action="store_true")
    options = parser.parse_args()
    for module in pkgutil.iter_modules(cases.__path__):
        importlib.import_module(f"cases.{module.name}")
    started = time.monotonic()
    heard = run_all(options)
    print(f"{len(heard)} cases in {time.monotonic() - started:.1f} s", file=sys.stderr)
    if options.print:
        for name, transcript in heard.items():
            print(f"=== {name}", *lines(transcript), sep="\n")
    if options.record:
        with open(options.record, "w", encoding="utf-8") as file:
            for name, transcript in heard.items():
                file.write(json.dumps({"case": name, "transcript": transcript}, ensure_ascii=False) + "\n")
    sys.exit(compare(options, heard) if options.compare else 0)


if __name__ == "__main__":
    main()
