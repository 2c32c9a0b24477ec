#!/usr/bin/env bash
# Runs a build with the feature `nccl` on the emulated card: `check.sh CARD TARGET`, CARD the folder that build.sh made, TARGET the target
# folder of `cargo test --features nccl --no-run`. CUDA_HOME gives the run-time library.
set -euo pipefail
card=$(realpath "$1")
target=$(realpath "$2")
export LD_LIBRARY_PATH=$card:${CUDA_HOME:-/usr/local/cuda}/lib
program=$target/debug/maskscope
tests=$(ls -t "$target"/debug/deps/integration-* | grep -v '\.d$' | head -n 1)
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bodies=(golden ops:: conv:: gradients training::parts)

echo "== the network and a training step against the reference and the processor"
"$program" doctor --check --device cuda:0 --no-timings
echo "== the tests on the card, at once and as late as streams allow"
MASKSCOPE_TEST_DEVICE=cuda:0 "$tests" "${bodies[@]}" | tail -n 2
EMULATED_CARD_LATE=1 MASKSCOPE_TEST_DEVICE=cuda:0 "$tests" "${bodies[@]}" | tail -n 2
echo "== a cuDNN that has no convolution with bias and activation in one call"
EMULATED_CARD_FUSES_NOTHING=1 MASKSCOPE_TEST_DEVICE=cuda:0 "$tests" conv:: gradients | tail -n 2
echo "== two ranks on two cards"
EMULATED_CARDS=2 "$tests" training::ranks | tail -n 2
EMULATED_CARDS=2 EMULATED_CARD_LATE=1 "$tests" training::ranks::two | tail -n 2
echo "== a batch that does not fit gives what it gives where there is room"
"$program" synth "$work/set" --images 8 --size 256x256 --seed 5 > /dev/null
infer() { # FILE MIB
    EMULATED_CARD_MIB=$2 "$program" infer -q --checkpoint assets/demo.safetensors --device cuda:0 --set precision=f32 --batch 8 "$work/set/data" "$work/$1"
}
infer whole.json 4000
infer halves.json 40
cmp "$work/whole.json" "$work/halves.json"
echo "== a training whose batch does not fit goes on in halves, its memory flat, and is resumed"
train() {
    EMULATED_CARD_MIB=$1 "$program" train -q --config tiny --device cuda:0 --set precision=f32 --set run_eval=0 --set backbone.norm_eval=1 \
        --set batch_size=4 --set img_width=256 --set img_height=256 --set "lr_steps=[]" "${@:2}"
}
run=$(train 110 --train-data "$work/set" --out "$work/runs" --set epoch_size=6)
grep -h "images at a time" "$run"/logs/*
EMULATED_CARD_MIB=110 "$program" train -q --resume "$run" --device cuda:0 --set epoch_size=7 > /dev/null
test "$(grep -c '"kind":"step"' "$run/metrics.jsonl")" -eq 14
echo "all well"
