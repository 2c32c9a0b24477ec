//! The configuration, dialect and classes in force for a checkpoint (semantics.md section 0).

use crate::config::{self, COCO_CLASSES, Config, Dialect, DialectChoice, Style};
use crate::structures::ClassTable;

use super::error::WeightsError;
use super::format::Format;
use super::names::Naming;
use super::proposals::Proposals;
use super::survey::Survey;
use super::widths;

/// What is in force.
#[derive(Debug)]
pub(super) struct Resolved {
    pub config: Config,
    pub dialect: Dialect,
    pub classes: ClassTable,
    pub notes: Vec<String>,
    /// Why the widths could not be read off, where that was tried.
    pub widths_problem: Option<String>,
}

/// Larger sizes would overflow when multiplied, and no model has them.
const LARGEST: usize = 1 << 16;
const LARGEST_CLASSES: usize = 1 << 20;

/// Resolves; `lenient` takes a preset where a configuration would be required.
pub(super) fn resolve(
    survey: &Survey<'_>,
    given: Option<&Config>,
    dialect: DialectChoice,
    lenient: bool,
) -> Result<Resolved, WeightsError> {
    let mut notes = Vec::new();
    let mut widths_problem = None;
    let stored = survey.opened.metadata.get("config");
    let mut config = match (given, stored) {
        (Some(config), _) => config.clone(),
        (None, Some(text)) => stored_config(survey, text, &mut notes)?,
        (None, None) => {
            if survey.opened.format == Format::Safetensors && !lenient {
                return Err(WeightsError::ConfigRequired {
                    path: survey.opened.path.clone(),
                });
            }
            if survey.opened.format == Format::Safetensors {
                notes.push("the file says nothing about its configuration: it loads with --config FILE.yaml".into());
            }
            let mut config = preset(survey, &mut notes)?;
            let shapes = survey.shapes();
            let mut adapted = config.clone();
            match widths::read_off(&mut adapted, &shapes, survey.classes) {
                Ok(()) => config = adapted,
                Err(problem) => widths_problem = Some(problem),
            }
            config
        }
    };
    check_sizes(&config).map_err(|problem| WeightsError::Config {
        problem,
        path: survey.opened.path.clone(),
    })?;
    let dialect = resolve_dialect(survey, &config, dialect, &mut notes);
    config.dialect = dialect.into();
    if dialect == Dialect::Mmdet {
        notes.extend(config.mmdet_size_note());
    }
    let classes = class_table(survey, &mut config, given.is_some(), &mut notes);
    conventions(survey.naming, given.is_some(), &config, &mut notes);
    Ok(Resolved {
        config,
        dialect,
        classes,
        notes,
        widths_problem,
    })
}

/// The configuration in a file's metadata.
fn stored_config(
    survey: &Survey<'_>,
    text: &str,
    notes: &mut Vec<String>,
) -> Result<Config, WeightsError> {
    let failed = |error: config::ConfigError| WeightsError::Config {
        problem: error.to_string(),
        path: survey.opened.path.clone(),
    };
    let origin = format!("metadata of {}", survey.opened.path.display());
    let (config, said) = Config::from_yaml(text, &origin).map_err(failed)?;
    notes.extend(said);
    config.validate().map_err(failed)?;
    Ok(config)
}

/// What the format stands for, with what a PyTorch file says about itself.
fn preset(survey: &Survey<'_>, notes: &mut Vec<String>) -> Result<Config, WeightsError> {
    let ours_or_mindspore = matches!(
        survey.opened.format,
        Format::Safetensors | Format::Mindspore
    );
    if survey.naming == Naming::Mindspore || ours_or_mindspore {
        return Ok(Config::default());
    }
    let name = "mmdet_ms_rcnn_r50_caffe_fpn_1x_coco";
    let mut config = config::preset(name).map_err(|error| WeightsError::Config {
        problem: error.to_string(),
        path: survey.opened.path.clone(),
    })?;
    match survey.naming {
        Naming::Torchvision => {
            config.backbone.style = Style::Pytorch;
            config.to_rgb = true;
            // ImageNet's mean and standard deviation times 255.
            config.img_mean = [123.675, 116.28, 103.53];
            config.img_std = [58.395, 57.12, 57.375];
        }
        // The mean of Caffe's own ImageNet models, which maskrcnn-benchmark keeps.
        Naming::Benchmark => config.img_mean = [102.9801, 115.9465, 122.7717],
        _ => {}
    }
    if let Some(text) = &survey.opened.config_text {
        notes.extend(Proposals::search(text).apply(&mut config));
    }
    Ok(config)
}

/// Sizes are multiplied later.
pub(super) fn check_sizes(config: &Config) -> Result<(), String> {
    let (fpn, rpn) = (&config.neck.fpn, &config.rpn);
    let (bbox, mask, iou) = (&config.bbox_head, &config.mask_head, &config.mask_iou_head);
    let sizes = [
        config.backbone.base_channels,
        fpn.out_channels,
        fpn.in_channels.len(),
        rpn.in_channels,
        rpn.feat_channels,
        rpn.anchor_generator.scales.len(),
        rpn.anchor_generator.ratios.len(),
        bbox.in_channels,
        bbox.fc_out_channels,
        bbox.roi_feat_size,
        mask.num_convs,
        mask.in_channels,
        mask.conv_out_channels,
        iou.num_convs,
        iou.num_fcs,
        iou.roi_feat_size,
        iou.in_channels,
        iou.conv_out_channels,
        iou.fc_out_channels,
    ];
    let largest = sizes
        .into_iter()
        .chain(fpn.in_channels.iter().copied())
        .max()
        .unwrap_or(0);
    if largest > LARGEST || config.num_classes > LARGEST_CLASSES {
        return Err(format!(
            "it has a layer of {largest} channels and {} classes, at most {LARGEST} and {LARGEST_CLASSES} are possible",
            config.num_classes
        ));
    }
    Ok(())
}

/// An explicit choice wins, then the configuration's, then the metadata's, then what the format stands for.
fn resolve_dialect(
    survey: &Survey<'_>,
    config: &Config,
    choice: DialectChoice,
    notes: &mut Vec<String>,
) -> Dialect {
    let choice = match choice {
        DialectChoice::Auto => config.dialect,
        explicit => explicit,
    };
    let stored =
        survey
            .opened
            .metadata
            .get("dialect")
            .and_then(|name| match name.parse::<Dialect>() {
                Ok(dialect) => Some(dialect),
                Err(error) => {
                    notes.push(format!("the file's metadata: {error}"));
                    None
                }
            });
    let by_format = match (survey.opened.format, survey.naming) {
        (_, Naming::Mindspore) | (Format::Safetensors | Format::Mindspore, _) => None,
        _ => Some(Dialect::Mmdet),
    };
    Dialect::resolve(choice, stored.or(by_format))
}

/// The names of the columns: the file's own, else the configuration's, else COCO's, else numbers.
fn class_table(
    survey: &Survey<'_>,
    config: &mut Config,
    config_given: bool,
    notes: &mut Vec<String>,
) -> ClassTable {
    let count = survey.classes.classes();
    let of_config: Vec<String> = config.coco_classes.iter().skip(1).cloned().collect();
    let own = stored_classes(survey).filter(|table| {
        let fits = table.len() == count;
        if !fits {
            notes.push(format!(
                "the file names {} classes, its classifier has {count}: the names are ignored",
                table.len()
            ));
        }
        fits
    });
    let table = match own {
        Some(table) => {
            if config_given && of_config.len() == count && of_config != table.names {
                notes.push(
                    "class names are those of the checkpoint, the configuration has others".into(),
                );
            }
            table
        }
        None if of_config.len() == count => ClassTable::from_names(of_config),
        None if count == COCO_CLASSES.len() => ClassTable::from_names(COCO_CLASSES),
        None => {
            notes.push(format!("the file does not name its {count} classes"));
            ClassTable::from_names((0..count).map(|label| format!("class {label}")))
        }
    };
    if config.num_classes == count + 1 {
        config.coco_classes = std::iter::once("background".to_owned())
            .chain(table.names.iter().cloned())
            .collect();
    }
    table
}

#[derive(serde::Deserialize)]
struct Category {
    id: i64,
    name: String,
}

/// Names in safetensors metadata or in a PyTorch file's `meta`.
fn stored_classes(survey: &Survey<'_>) -> Option<ClassTable> {
    let metadata = &survey.opened.metadata;
    let Some(text) = metadata.get("classes") else {
        return survey.opened.classes.as_ref().map(ClassTable::from_names);
    };
    let names: Vec<String> = serde_json::from_str(text).ok()?;
    let categories: Vec<Category> = metadata
        .get("categories")
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let same_names = categories.iter().map(|c| &c.name).eq(&names);
    Some(ClassTable {
        category_ids: if same_names {
            categories.iter().map(|c| c.id).collect()
        } else {
            Vec::new()
        },
        names,
    })
}

/// In what other programs' weights differ from this one (semantics.md 5.6).
fn conventions(naming: Naming, config_given: bool, config: &Config, notes: &mut Vec<String>) {
    match naming {
        Naming::Torchvision => {
            notes.push("torchvision rounds anchors and pools without half a pixel's shift: results as they are come within about 1 AP; meant as a start for fine-tuning".into());
            if config_given && (!config.to_rgb || config.backbone.style != Style::Pytorch) {
                notes.push("torchvision's weights want to_rgb 1, img_mean [123.675, 116.28, 103.53], img_std [58.395, 57.12, 57.375] and backbone.style pytorch; the configuration has others".into());
            }
        }
        Naming::Benchmark => notes.push("maskrcnn-benchmark counts boxes with +1, rounds anchors and pools without half a pixel's shift: meant as a start for fine-tuning, results as they are differ".into()),
        Naming::Detectron2 if config_given && config.backbone.style != Style::Caffe => {
            notes.push("detectron2's own weights want backbone.style caffe and BGR images; the configuration has another style".into());
        }
        _ => {}
    }
}
