"""Reads every export with pycocotools and compares areas, boxes and masks with the set that it was made of.

    pip install pycocotools
    cargo build --release
    python tests/review/pycocotools_reads.py target/release/maskscope SET.json [SET.json ..]

Each set is exported without an edit (the file must be the same), then with a script of edits: a mask becomes run lengths, one polygons,
one is deleted, one added, one merged, one made a crowd. In the corrected set every annotation whose mask was not edited must be
the source's, and of every edited one `area` and `bbox` must be what pycocotools makes of its segmentation. The masks of the COCO
results, the prediction JSON and the table must be those of the corrected set. The sets are copied first; nothing beside them is written.
"""
import contextlib
import csv
import io
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO


def load(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def run(program, *words, **options):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, **options)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def edits_of(coco):
    """A script of edits and the ids that it touches; `None` for a set too small for it."""
    usable = [a for a in coco.anns.values() if a.get("segmentation") and not a.get("iscrowd")]
    polygons = [a for a in usable if isinstance(a["segmentation"], list)]
    if len(usable) < 8:
        return None
    painted, moved, gone, kept, joined = usable[0], (polygons or usable)[1], usable[2], usable[3], None
    for other in usable[4:]:
        if other["image_id"] == kept["image_id"]:
            joined = other
            break
    mask = 1 - coco.annToMask(painted)
    encoded = rle.encode(np.asfortranarray(mask))
    image = coco.imgs[painted["image_id"]]
    right, low = image["width"], image["height"]
    border = [[0, 0, right, 0, right, low, 0, low]]
    script = [
        {"edit": "set_mask", "id": painted["id"], "segmentation": {"size": encoded["size"], "counts": encoded["counts"].decode()}},
        {"edit": "set_mask", "id": moved["id"], "segmentation": [[1.5, 1.25, 20.5, 3.75, 11.1, 22.2]]},
        {"edit": "delete", "ids": [gone["id"]]},
        {"edit": "add", "image_id": painted["image_id"], "category_id": painted["category_id"], "segmentation": border},
    ]
    touched = {painted["id"], moved["id"], gone["id"]}
    if joined is not None:
        script.append({"edit": "merge", "ids": [kept["id"], joined["id"]]})
        touched |= {kept["id"], joined["id"]}
    return script, touched


def check_corrected(before, after, touched):
    """Untouched annotations are the source's; of edited ones area and box are pycocotools'."""
    for annotation in after.anns.values():
        source = before.anns.get(annotation["id"])
        if source is not None and annotation["id"] not in touched:
            assert annotation == source, annotation["id"]
            continue
        encoded = after.annToRLE(annotation)
        assert annotation["area"] == int(rle.area(encoded)), annotation["id"]
        assert annotation["bbox"] == rle.toBbox(encoded).tolist(), annotation["id"]


def check_results(coco, path):
    """The masks of the results are those of the set, annotation by annotation."""
    with contextlib.redirect_stdout(io.StringIO()):
        results = coco.loadRes(str(path))
    for image in coco.imgs:
        want = sorted(coco.annToMask(a).tobytes() for a in coco.imgToAnns[image])
        got = sorted(results.annToMask(a).tobytes() for a in results.imgToAnns[image])
        assert want == got, f"masks of image {image}"


def check_predictions(coco, path):
    masks = []
    for image in json.loads(path.read_text()).values():
        masks += [rle.decode(p["mask"]).tobytes() for p in image["predictions"]]
    want = [coco.annToMask(a).tobytes() for a in coco.anns.values()]
    assert sorted(masks) == sorted(want), "masks of the prediction JSON"


def check_table(coco, path):
    with path.open(newline="") as rows:
        rows = list(csv.DictReader(rows))
    assert len(rows) == len(coco.anns)
    for row in rows:
        annotation = coco.anns[int(row["annotation_id"])]
        assert float(row["area"]) == annotation["area"], row
        assert int(row["mask_area"]) == int(rle.area(coco.annToRLE(annotation))), row


def check_set(program, source, home):
    data = home / source.name
    shutil.copy(source, data)
    out = home / "out.json"
    run(program, "export", data, "--format", "coco", "--out", out, "-q")
    assert out.read_bytes() == source.read_bytes(), "without an edit the file must be the same"
    before = load(source)
    found = edits_of(before)
    touched = set()
    if found is not None:
        script, touched = found
        run(program, "review", data, "--apply", "-", "-q", input="\n".join(map(json.dumps, script)))
    run(program, "export", data, "--format", "coco", "--out", out, "-q")
    after = load(out)
    check_corrected(before, after, touched)
    for name, words in [("results", home / "res"), ("predictions", home / "p.json"), ("csv", home / "t.csv")]:
        run(program, "export", data, "--format", name, "--out", words, "-q")
    check_results(after, home / "res.segm.json")
    check_predictions(after, home / "p.json")
    check_table(after, home / "t.csv")
    return len(after.anns), len(touched)


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    for source in map(pathlib.Path, sys.argv[2:]):
        with tempfile.TemporaryDirectory() as home:
            annotations, touched = check_set(program, source, pathlib.Path(home))
            print(f"{source.name}: {annotations} annotations, {touched} edited: areas, boxes and masks are pycocotools'")


if __name__ == "__main__":
    main()
