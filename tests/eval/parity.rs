//! Writes the random cases with their answers for `pycocotools_parity.py`, which holds them against pycocotools.
//!
//! `cargo test --test integration -- --ignored eval::parity`, then `python tests/eval/pycocotools_parity.py`.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::{Value, json};

use super::case::{Cell, Outcome, Question};
use super::{adapter, generator, random, slow};

/// Cases of one file.
const CHUNK: usize = 500;

/// The folder that `MASKSCOPE_PARITY` names, else one below the build's temporary files.
fn folder() -> PathBuf {
    let named = std::env::var_os("MASKSCOPE_PARITY").map(PathBuf::from);
    named.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("eval_parity"))
}

#[test]
#[ignore = "writes some hundred megabytes for a Python script"]
fn write_cases_for_pycocotools() {
    let folder = folder();
    std::fs::create_dir_all(&folder).unwrap();
    let seeds: Vec<u64> = random::SEEDS.collect();
    seeds.par_chunks(CHUNK).for_each(|seeds| {
        let path = folder.join(format!("cases_{:05}.jsonl", seeds[0]));
        let mut file = BufWriter::new(std::fs::File::create(&path).unwrap());
        for &seed in seeds {
            writeln!(file, "{}", answered(seed)).unwrap();
        }
        file.flush().unwrap();
    });
    println!("{} cases in {}", seeds.len(), folder.display());
}

/// A case with its answers.
fn answered(seed: u64) -> Value {
    let case = generator::case(seed);
    let answer = |question: Question| match adapter::evaluate(&case, question) {
        Some(outcome) => json_answer(question, "engine", &outcome),
        None => json_answer(question, "slow", &slow::evaluate(&case, question)),
    };
    let answers: Vec<Value> = random::questions().into_iter().map(answer).collect();
    json!({"seed": seed, "gt": case.gt, "dt": case.dt, "answers": answers})
}

fn json_answer(question: Question, by: &str, outcome: &Outcome) -> Value {
    json!({
        "by": by,
        "kind": question.kind.name(),
        "rank_by": question.rank_by,
        "ids": format!("{:?}", question.ids),
        "stats": outcome.stats,
        "per_category": outcome.per_category,
        "cells": outcome.cells.iter().map(json_cell).collect::<Vec<_>>(),
    })
}

fn json_cell(cell: &Cell) -> Value {
    json!({
        "image_id": cell.image_id,
        "category_id": cell.category_id,
        "area": cell.area,
        "dts": cell.dts,
        "gts": cell.gts,
        "dt_scores": cell.dt_scores,
        "dt_matches": cell.dt_matches,
        "gt_matches": cell.gt_matches,
        "gt_ignore": cell.gt_ignore,
        "dt_ignore": cell.dt_ignore,
    })
}
