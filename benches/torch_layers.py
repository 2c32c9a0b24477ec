"""The peer of layers.rs: the same layers in PyTorch on the CPU.

    cargo bench --bench layers -- --list | python benches/torch_layers.py [--threads 2] [--repeat 7] [--only TEXT]

Needs torch (2.1.2 was used). Prints one line a layer: fastest ms, GF/s; and the sum over the network.
"""
import argparse
import sys
import time

import torch
import torch.nn.functional as F


def operations(kind, n, i, h, w, o, k, stride):
    if kind == "deconv":
        return 2.0 * n * o * i * 4 * h * w
    side = lambda s: (s + 2 * (k // 2) - k) // stride + 1
    return 2.0 * n * o * i * k * k * side(h) * side(w)


def layer(kind, n, i, h, w, o, k, stride, residual):
    scale, bias = (3.0 / (i * k * k)) ** 0.5, torch.rand(o)
    uniform = lambda *shape: torch.rand(*shape) * 2 - 1
    if kind == "linear":
        x, weight = uniform(n, i), uniform(o, i) * scale
        return lambda: F.relu_(F.linear(x, weight, bias))
    x = uniform(n, i, h, w)
    if kind == "deconv":
        weight = uniform(i, o, 2, 2) * scale
        return lambda: F.relu_(F.conv_transpose2d(x, weight, bias, 2))
    weight = uniform(o, i, k, k) * scale
    once = lambda: F.conv2d(x, weight, bias, stride, k // 2)
    if residual:
        added = torch.rand_like(once())
        return lambda: F.relu_(once().add_(added))
    return lambda: F.relu_(once())


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--repeat", type=int, default=7)
    p.add_argument("--only", default="")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    total = flops = 0.0
    for line in sys.stdin:
        name, count, kind, *numbers = line.split()
        if a.only not in name:
            continue
        *size, residual = map(int, numbers)
        with torch.no_grad():
            run = layer(kind, *size, residual)
            run()
            times = []
            for _ in range(a.repeat):
                start = time.perf_counter()
                run()
                times.append(time.perf_counter() - start)
        best, ops = min(times), operations(kind, *size)
        total, flops = total + best * int(count), flops + ops * int(count)
        print(f"{name:<22} {count:>3} {best * 1e3:9.2f} {ops / best / 1e9:8.0f}", flush=True)
    print(f"sum of the fastest {total:.3f} s, {flops / 1e9:.0f} GFLOP, {flops / total / 1e9:.0f} GF/s")


if __name__ == "__main__":
    main()
