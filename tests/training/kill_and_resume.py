"""Kills a training run at random moments, again and again, and holds what it left against an uninterrupted run.

    cargo build --release
    python tests/training/kill_and_resume.py [target/release/maskscope] [kills]

The run is begun, killed with SIGKILL, resumed, killed again ... (50 times unless told otherwise) and then let go to its end.
After every kill each checkpoint in the folder must open, and one that can be resumed from must be there once there was one.
At the end every loss of `metrics.jsonl` must be the uninterrupted run's, to the last digit. Needs nothing but Python.
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

LOSSES = ["rpn_cls", "rpn_box", "cls", "bbox", "mask", "mask_iou", "loss", "lr", "grad_norm"]
SETTINGS = {
    "epoch_size": 60, "lr_steps": "[40]", "batch_size": 2, "save_every": 3, "img_width": 64, "img_height": 64,
    "warmup_step": 10, "train_cfg.rcnn.sampler.num": 16, "roi.sample_num": 20, "mask_roi.sample_num": 4, "run_eval": 0,
}


def curve(run):
    """Epoch, step and what they computed, of every line; a half line at the end is none."""
    rows = []
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["kind"] == "step":
            rows.append([row["epoch"], row["step"]] + [row[name] for name in LOSSES])
    return rows


def check_folder(program, run):
    """Every checkpoint of the folder opens; returns how many there are."""
    checkpoints = [path for path in run.glob("MSRCNN_*.safetensors") if ".state." not in path.name]
    for path in checkpoints:
        done = subprocess.run([program, "inspect", path], capture_output=True, text=True)
        assert done.returncode == 0, f"{path}: {done.stderr}"
    return len(checkpoints)


def main():
    program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target/release/maskscope").resolve()
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        subprocess.run([program, "synth", home / "set", "--images", "12", "--size", "64x64", "-q"], check=True)
        words = [program, "train", "--config", "tiny", "--train-data", home / "set", "--out", home / "runs", "-q"]
        for key, value in SETTINGS.items():
            words += ["--set", f"{key}={value}"]
        began = time.time()
        whole = pathlib.Path(subprocess.run(words + ["--brief", "whole"], check=True, capture_output=True,
                                            text=True).stdout.strip())
        seconds = time.time() - began
        print(f"uninterrupted: {len(curve(whole))} steps in {seconds:.0f} s")
        run = None
        had = 0
        for kill in range(kills):
            command = words + ["--brief", "killed"] if run is None else [program, "train", "--resume", run, "-q"]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            try:
                error = process.communicate(timeout=chance.uniform(0.2, max(1.0, 2.0 * seconds / kills)))[1]
                assert process.returncode == 0, error
                print(f"finished after {kill} kills")
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
            if run is None:
                found = list((home / "runs").glob("*_killed"))
                run = found[0] if found and (found[0] / "run.json").exists() else None
            if run is not None:
                count = check_folder(program, run)
                assert count > 0 or had == 0, "the checkpoints are gone"
                had = max(had, count)
                if had == 0:
                    # Killed before the first checkpoint: there is nothing to go on from.
                    run.rename(run.with_name(f"too_early_{kill}"))
                    run = None
        if run is None:
            sys.exit("no checkpoint was ever written: give more kills, or a slower set")
        done = subprocess.run([program, "train", "--resume", run, "-q"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert curve(run) == curve(whole), "the losses differ"
        print(f"{kills} kills: every checkpoint opened, {len(curve(whole))} steps equal to the last digit")


if __name__ == "__main__":
    main()
