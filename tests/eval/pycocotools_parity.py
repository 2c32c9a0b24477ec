"""Holds the random evaluation cases and their answers against pycocotools, every number to the last bit.

    cargo test --test integration -- --ignored eval::parity
    python tests/eval/pycocotools_parity.py [FOLDER]

FOLDER is where the test wrote its files (MASKSCOPE_PARITY, or target/tmp/eval_parity). Needs pycocotools and numpy;
exits with 1 and the first differences where there are any.
"""
import collections
import contextlib
import copy
import io
import json
import multiprocessing
import pathlib
import struct
import sys

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

SHOWN = 10  # differences printed


def mask_area(annotation, image):
    """Pixels of an annotation's mask, from any of its spellings."""
    shape = annotation["segmentation"]
    if isinstance(shape, list) or isinstance(shape["counts"], list):
        shape = coco_mask.frPyObjects(shape, image["height"], image["width"])
    if isinstance(shape, list):
        shape = coco_mask.merge(shape)
    return float(coco_mask.area(shape))


def ground_truth(gt, ids):
    """pycocotools' ground truth; with ids that are positions from 1 unless its own reading of ids is asked for."""
    gt = copy.deepcopy(gt)
    images = {image["id"]: image for image in gt["images"]}
    for position, annotation in enumerate(gt["annotations"]):
        if ids == "Position":
            annotation["id"] = position + 1
        # pycocotools stops where there is no area; the mask's counts.
        if "area" not in annotation:
            annotation["area"] = mask_area(annotation, images[annotation["image_id"]])
    coco = COCO()
    coco.dataset = gt
    coco.createIndex()
    return coco


def results(coco, dt, kind, rank_by):
    """pycocotools' detections, with what the kind needs alone."""
    shape = {"bbox": "bbox", "segm": "segmentation"}[kind]
    rows = [
        {"image_id": d["image_id"], "category_id": d["category_id"], "score": d[rank_by], shape: copy.deepcopy(d[shape])}
        for d in dt
    ]
    if rows:
        return coco.loadRes(rows)
    # loadRes looks at the first row.
    empty = COCO()
    empty.dataset = dict(images=coco.dataset["images"], categories=coco.dataset["categories"], annotations=[])
    empty.createIndex()
    return empty


def evaluate(case, answer):
    """What pycocotools says, in the form of the answer."""
    coco = ground_truth(case["gt"], answer["ids"])
    engine = COCOeval(coco, results(coco, case["dt"], answer["kind"], answer["rank_by"]), answer["kind"])
    engine.evaluate()
    engine.accumulate()
    engine.summarize()
    per_category = []
    for k, category in enumerate(engine.params.catIds):
        precision = engine.eval["precision"][:, :, k, 0, -1]
        precision = precision[precision > -1]
        per_category.append([int(category), float(np.mean(precision)) if precision.size else -1.0])
    # The last of equal ids answers for all.
    position = {a["id"]: at for at, a in enumerate(coco.dataset["annotations"])}
    images = len(engine.params.imgIds)
    cells = [
        cell(found, at // images % len(engine.params.areaRng), position)
        for at, found in enumerate(engine.evalImgs)
        if found is not None
    ]
    return dict(stats=[float(v) for v in engine.stats], per_category=per_category, cells=cells)


def cell(found, area, position):
    truth = lambda v: None if v == 0 else position[int(v)]
    detection = lambda v: None if v == 0 else int(v) - 1
    rows = lambda table, of: [[of(v) for v in row] for row in table]
    return dict(
        image_id=int(found["image_id"]),
        category_id=int(found["category_id"]),
        area=area,
        dts=[int(v) - 1 for v in found["dtIds"]],
        gts=[position[int(v)] for v in found["gtIds"]],
        dt_scores=[float(v) for v in found["dtScores"]],
        dt_matches=rows(found["dtMatches"], truth),
        gt_matches=rows(found["gtMatches"], detection),
        gt_ignore=[bool(v) for v in found["gtIgnore"]],
        dt_ignore=rows(found["dtIgnore"], bool),
    )


def bits(value):
    """Every float as its eight bytes, so that nothing is equal but what is the same."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, dict):
        return {key: bits(v) for key, v in value.items()}
    if isinstance(value, list):
        return [bits(v) for v in value]
    return value


def differences(case):
    found = []
    for answer in case["answers"]:
        with contextlib.redirect_stdout(io.StringIO()):
            want = evaluate(case, answer)
        for part, value in want.items():
            if bits(answer[part]) != bits(value):
                where = f"seed {case['seed']}, {answer['kind']}, ids {answer['ids']}, by {answer['by']}, {part}"
                found.append(((answer["kind"], answer["ids"], answer["by"], part), f"{where}:\n  {answer[part]}\n  pycocotools {value}"))
    return found


def check_file(path):
    asked, found = collections.Counter(), []
    with open(path) as lines:
        for line in lines:
            case = json.loads(line)
            asked.update((a["kind"], a["ids"], a["by"]) for a in case["answers"])
            found.extend(differences(case))
    return asked, found


def main(folder):
    paths = sorted(pathlib.Path(folder).glob("cases_*.jsonl"))
    if not paths:
        sys.exit(f"no cases_*.jsonl in {folder}: run the ignored test first")
    asked, found = collections.Counter(), []
    with multiprocessing.Pool() as pool:
        for some_asked, some_found in pool.imap(check_file, paths):
            asked.update(some_asked)
            found.extend(some_found)
    for (kind, ids, by), count in sorted(asked.items()):
        print(f"{count} answers: {kind}, ids {ids}, by {by}")
    for _, text in found[:SHOWN]:
        print(text)
    for what, count in sorted(collections.Counter(what for what, _ in found).items()):
        print(f"{count} differences: {', '.join(what)}")
    if found:
        sys.exit(1)
    print("all equal in every bit")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "target/tmp/eval_parity")
