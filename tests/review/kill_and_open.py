"""Kills an editing session at random moments, again and again, and holds what it left against what it had acknowledged.

    cargo build --release
    python tests/review/kill_and_open.py [target/release/maskscope] [kills]

A script of random edits, undos and redos goes into `maskscope review SET --apply -`, which answers each line when it is on disk.
At a random moment the process gets SIGKILL (50 times unless told otherwise; the review goes on from where it was). After every
kill the database must open, its audit trail must hold every step that was acknowledged in the order it was asked for and at most
the one in hand beyond them, and the export must be a set that opens, with the counts that the review tells. At the end the
source must be the file it was. Needs nothing but Python; where pycocotools is there, every export is read with it.
"""
import contextlib
import csv
import hashlib
import io
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time

try:
    from pycocotools.coco import COCO
except ImportError:
    COCO = None

WIDTH, HEIGHT = 96, 64


def make_edits(chance, images, ids):
    """A few lines of the script; undo and redo stand where there is something to undo and redo."""
    x, y = chance.uniform(0, WIDTH - 20), chance.uniform(0, HEIGHT - 20)
    polygon = [[x, y, x + 18, y, x + 18, y + 15, x, y + 12]]
    kind = chance.choice(["add", "add", "mask", "class", "crowd", "verdict", "note", "undo", "redo", "together"])
    image, target = chance.choice(images), {"annotation": chance.choice(ids)}
    add = {"edit": "add", "image_id": image, "category_id": 1, "segmentation": polygon}
    if kind in ("undo", "redo"):
        return [add, {"edit": "undo"}] + [{"edit": "redo"}] * (kind == "redo")
    return [{
        "add": add,
        "mask": {"edit": "set_mask", "id": target["annotation"], "segmentation": polygon},
        "class": {"edit": "set_class", "id": target["annotation"], "category_id": chance.choice([1, 2])},
        "crowd": {"edit": "set_crowd", "id": target["annotation"], "iscrowd": chance.random() < 0.5},
        "verdict": {"edit": "verdict", "target": target, "verdict": chance.choice(["accept", "reject", None])},
        "note": {"edit": "note", "target": target, "note": f"note {chance.random()}"},
        "together": {"edit": "together", "edits": [
            add, {"edit": "note", "target": target, "note": "both"}]},
    }[kind]]


def trail(program, data, folder):
    """Steps of the audit trail: number, action, entry."""
    out = folder / "audit.csv"
    done = subprocess.run([program, "export", data, "--format", "audit", "--out", out, "-q"], capture_output=True, text=True)
    assert done.returncode == 0, f"the review does not open: {done.stderr}"
    with out.open(newline="") as rows:
        steps = {}
        for row in csv.DictReader(rows):
            steps[int(row["step"])] = (row["action"], int(row["entry"]), row["what"])
    return [steps[number] for number in sorted(steps)]


def check_export(program, data, folder):
    """The corrected set opens and has as many annotations as the review says."""
    out = folder / "out.json"
    done = subprocess.run([program, "export", data, "--format", "coco", "--out", out, "-q"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    listing = subprocess.run([program, "review", data, "--list", "--json"], capture_output=True, text=True)
    assert listing.returncode == 0, listing.stderr
    edits = json.loads(listing.stdout)["edits"]
    source, made = json.loads(data.read_text()), json.loads(out.read_text())
    want = len(source["annotations"]) + edits["added"] - edits["deleted"]
    assert len(made["annotations"]) == want, (len(made["annotations"]), want)
    ids = [annotation["id"] for annotation in made["annotations"]]
    assert len(set(ids)) == len(ids), "an id stands there twice"
    checked = subprocess.run([program, "check", out, "--json"], capture_output=True, text=True)
    assert checked.returncode == 0 and json.loads(checked.stdout)["left_out"] == 0, checked.stdout
    if COCO is not None:
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(out))
        for annotation in coco.anns.values():
            coco.annToMask(annotation)
    return want


def session(program, data, script, delay):
    """Feeds the script and kills the process after `delay`; answers with what it acknowledged, and how it ended."""
    words = [program, "review", data, "--apply", "-", "-q"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)

    def feed():
        try:
            for line in script:
                process.stdin.write(json.dumps(line) + "\n")
            process.stdin.close()
        except (BrokenPipeError, ValueError, OSError):
            pass

    feeder = threading.Thread(target=feed)
    feeder.start()
    timer = threading.Timer(delay, process.kill)
    timer.start()
    answers = []
    for line in process.stdout:
        if line.endswith("\n"):
            answers.append(json.loads(line))
    process.wait()
    timer.cancel()
    feeder.join()
    return answers, process.returncode, process.stderr.read()


def main():
    program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target/release/maskscope").resolve()
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    chance = random.Random(8)
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        size = f"{WIDTH}x{HEIGHT}"
        subprocess.run([program, "synth", home / "set", "--images", "12", "--size", size, "-q"], check=True)
        data = home / "set" / "labels.json"
        source = json.loads(data.read_text())
        images = [image["id"] for image in source["images"]]
        ids = [annotation["id"] for annotation in source["annotations"]]
        before = hashlib.sha256(data.read_bytes()).hexdigest()
        acknowledged = beyond = 0
        known = []  # steps that must be in the trail
        for _ in range(kills):
            script = [line for _ in range(3000) for line in make_edits(chance, images, ids)]
            # From before the first commit to well into the work.
            answers, code, error = session(program, data, script, chance.uniform(0.01, 1.0))
            assert code == -9, (code, error)
            # A kill may hit a line that changed nothing, which leaves no step.
            answers = [answer for answer in answers if answer["changed"]]
            acknowledged += len(answers)
            steps = trail(program, data, home)
            assert steps[:len(known)] == known, "an old step is gone"
            new = steps[len(known):]
            assert len(new) in (len(answers), len(answers) + 1), f"{len(answers)} acknowledged, {len(new)} in the trail"
            for step, answer in zip(new, answers):
                assert step[2] == answer["words"], (step, answer)
                if step[0] != "undo":
                    assert step[1] == answer["seq"], (step, answer)
            beyond += len(new) - len(answers)
            known = steps
            annotations = check_export(program, data, home)
        assert hashlib.sha256(data.read_bytes()).hexdigest() == before, "the source was changed"
        print(f"{kills} kills: {acknowledged} steps acknowledged, all of them there, {beyond} more that were in hand; "
              f"{annotations} annotations in the last export; the source as it was"
              + ("" if COCO is None else "; every export read by pycocotools"))


if __name__ == "__main__":
    began = time.time()
    main()
    print(f"{time.time() - began:.0f} s")
