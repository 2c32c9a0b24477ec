//! Checkpoints: the formats, the name maps, hostile files.

use crate::support::fixtures;

#[test]
fn golden_fixtures_have_models() {
    for folder in fixtures::model_folders() {
        let tensors = fixtures::Tensors::read(&folder.join("weights.safetensors"));
        assert!(tensors.has("backbone.conv1.weight"));
    }
}
