"""torchvision's Mask R-CNN R-50-FPN on a card, beside which `maskscope doctor --check --device cuda:0` is held.

    python benches/torchvision_mask_rcnn.py [--device cuda] [--program path/to/maskscope]

It has no mask-IoU head, so that it does less. Random weights, as the program's own come from a formula: neither looks at real objects, both
keep at most 100 detections. Times are wall clock of a whole pass with its boxes, masks and transfers waited for; fastest of three after one
that prepares. `--program` runs the program's own timings first, so that both stand in one report of one machine.
Needs PyTorch and torchvision. Prints a Markdown table.
"""
import argparse
import contextlib
import json
import subprocess
import time

import torch
import torchvision

SIZES = [(800, 1333), (1024, 1024)]
PASSES = 3


def fastest(work, device):
    best = float("inf")
    for turn in range(PASSES + 1):
        if device.type == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if turn > 0:
            best = min(best, time.perf_counter() - began)
    return best


def memory(device):
    return torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else float("nan")


def forget(device):
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def in_precision(name, device):
    """How PyTorch's users ask for it."""
    rounded = name != "float32"
    torch.backends.cuda.matmul.allow_tf32 = rounded
    torch.backends.cudnn.allow_tf32 = rounded
    if name != "float16":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.float16)


def model(device, size):
    torch.manual_seed(1)
    made = torchvision.models.detection.maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=81, min_size=min(size), max_size=max(size), box_score_thresh=0.0)
    return made.to(device)


def inference(device, size, images, precision):
    made = model(device, size).eval()
    batch = list(torch.rand(images, 3, *size, device=device))

    def work():
        with torch.inference_mode(), in_precision(precision, device):
            for found in made(batch):
                found["masks"].cpu()

    return fastest(work, device) / images


def training(device, precision, side=512, objects=8):
    made = model(device, (side, side)).train()
    optimizer = torch.optim.SGD([p for p in made.parameters() if p.requires_grad], lr=1e-4, momentum=0.9)
    scaler = torch.cuda.amp.GradScaler(enabled=precision == "float16")
    corners = torch.arange(objects, device=device).float() * 40 + 10
    boxes = torch.stack([corners, corners, corners + 100, corners + 100], 1)
    masks = torch.zeros(objects, side, side, dtype=torch.uint8, device=device)
    for mask, corner in zip(masks, corners.int().tolist()):
        mask[corner:corner + 100, corner:corner + 100] = 1
    target = [{"boxes": boxes, "labels": torch.arange(1, objects + 1, device=device), "masks": masks}]
    batch = [torch.rand(3, side, side, device=device)]

    def work():
        with in_precision(precision, device):
            loss = sum(made(batch, target).values())
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return fastest(work, device)


def own(program, device):
    said = subprocess.run([program, "doctor", "--check", "--json", "-q", "--device", f"{device.type}:0"], capture_output=True, text=True)
    report = json.loads(said.stdout)
    assert report["passed"], said.stdout
    return {row["what"]: row for row in report["rows"] if "seconds" in row}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--program")
    parser.add_argument("--images", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--precisions", nargs="+", default=["float32", "tf32", "float16"])
    options = parser.parse_args()
    device = torch.device(options.device)
    ours = own(options.program, device) if options.program else {}
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{name}, PyTorch {torch.__version__}, torchvision {torchvision.__version__}\n")
    print("| what | torchvision, images/s | MiB | maskscope, images/s | MiB | ratio |\n|---|---|---|---|---|---|")
    cases = []
    for size in SIZES:
        for images in options.images:
            many = "one image" if images == 1 else f"{images} images"
            for precision in options.precisions:
                what = f"inference, R-50, {size[0]}x{size[1]}, {many}, {precision}"
                cases.append((what, lambda size=size, images=images, precision=precision: inference(device, size, images, precision)))
    for precision in options.precisions:
        what = f"training step, R-50, 512x512, one image, {precision}"
        cases.append((what, lambda precision=precision: training(device, precision)))
    for what, work in cases:
        forget(device)
        theirs, theirs_mib = 1 / work(), memory(device)
        row = ours.get(what)
        if row:
            rate = 1 / row["seconds"]
            print(f"| {what} | {theirs:.2f} | {theirs_mib:.0f} | {rate:.2f} | {row.get('memory_mib', float('nan')):.0f} | {rate / theirs:.2f} |")
        else:
            print(f"| {what} | {theirs:.2f} | {theirs_mib:.0f} | | | |")


if __name__ == "__main__":
    main()
