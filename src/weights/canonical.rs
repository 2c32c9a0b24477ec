//! The tensors that a model of a configuration has: canonical names (mmdetection 2.x) and shapes (semantics.md 5.5).

use crate::config::Config;

/// What a tensor is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Convolution, [out, in, kh, kw].
    Conv,
    /// Transposed convolution, [in, out, kh, kw].
    Deconv,
    /// Fully connected, [out, in].
    Fc,
    /// Bias of any of the above.
    Bias,
    /// γ of a BatchNorm.
    BnWeight,
    /// β of a BatchNorm.
    BnBias,
    /// Running mean of a BatchNorm.
    BnMean,
    /// Running variance of a BatchNorm.
    BnVar,
}

/// One tensor of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Canonical name.
    pub name: String,
    /// Sizes.
    pub shape: Vec<usize>,
    /// What it is to its layer.
    pub kind: Kind,
}

/// Prefix of the mask-IoU head.
pub(super) const IOU_HEAD: &str = "roi_head.mask_iou_head.";
/// Rows of it are classes and background.
pub(super) const FC_CLS: &str = "roi_head.bbox_head.fc_cls.weight";

/// Every tensor of the model that `config` describes, in the order of the network. The configuration must be
/// validated: sizes are multiplied.
pub fn parameters(config: &Config) -> Vec<Parameter> {
    let mut list = List::default();
    list.backbone(config);
    list.neck(config);
    list.rpn_head(config);
    list.bbox_head(config);
    list.mask_head(config);
    list.mask_iou_head(config);
    list.0
}

/// The backbone's tensors alone.
pub fn backbone_parameters(config: &Config) -> Vec<Parameter> {
    let mut list = List::default();
    list.backbone(config);
    list.0
}

#[derive(Default)]
struct List(Vec<Parameter>);

impl List {
    fn push(&mut self, name: String, shape: &[usize], kind: Kind) {
        self.0.push(Parameter {
            name,
            shape: shape.to_vec(),
            kind,
        });
    }

    fn bias(&mut self, name: &str, outputs: usize) {
        self.push(format!("{name}.bias"), &[outputs], Kind::Bias);
    }

    fn conv_weight(&mut self, name: &str, outputs: usize, inputs: usize, side: usize) {
        self.push(
            format!("{name}.weight"),
            &[outputs, inputs, side, side],
            Kind::Conv,
        );
    }

    fn conv(&mut self, name: &str, outputs: usize, inputs: usize, side: usize) {
        self.conv_weight(name, outputs, inputs, side);
        self.bias(name, outputs);
    }

    fn batch_norm(&mut self, name: &str, channels: usize) {
        for (suffix, kind) in [
            ("weight", Kind::BnWeight),
            ("bias", Kind::BnBias),
            ("running_mean", Kind::BnMean),
            ("running_var", Kind::BnVar),
        ] {
            self.push(format!("{name}.{suffix}"), &[channels], kind);
        }
    }

    fn fc(&mut self, name: &str, outputs: usize, inputs: usize) {
        self.push(format!("{name}.weight"), &[outputs, inputs], Kind::Fc);
        self.bias(name, outputs);
    }

    fn backbone(&mut self, config: &Config) {
        let base = config.backbone.base_channels;
        self.conv_weight("backbone.conv1", base, 3, 7);
        self.batch_norm("backbone.bn1", base);
        let mut inputs = base;
        for (stage, &blocks) in config.backbone.depth.blocks().iter().enumerate() {
            let width = base << stage;
            for block in 0..blocks {
                let name = format!("backbone.layer{}.{block}", stage + 1);
                self.conv_weight(&format!("{name}.conv1"), width, inputs, 1);
                self.batch_norm(&format!("{name}.bn1"), width);
                self.conv_weight(&format!("{name}.conv2"), width, width, 3);
                self.batch_norm(&format!("{name}.bn2"), width);
                self.conv_weight(&format!("{name}.conv3"), width * 4, width, 1);
                self.batch_norm(&format!("{name}.bn3"), width * 4);
                if block == 0 {
                    self.conv_weight(&format!("{name}.downsample.0"), width * 4, inputs, 1);
                    self.batch_norm(&format!("{name}.downsample.1"), width * 4);
                }
                inputs = width * 4;
            }
        }
    }

    fn neck(&mut self, config: &Config) {
        let fpn = &config.neck.fpn;
        for (level, &inputs) in fpn.in_channels.iter().enumerate() {
            let name = format!("neck.lateral_convs.{level}.conv");
            self.conv(&name, fpn.out_channels, inputs, 1);
        }
        for level in 0..fpn.in_channels.len() {
            let name = format!("neck.fpn_convs.{level}.conv");
            self.conv(&name, fpn.out_channels, fpn.out_channels, 3);
        }
    }

    fn rpn_head(&mut self, config: &Config) {
        let rpn = &config.rpn;
        let anchors = rpn.anchor_generator.scales.len() * rpn.anchor_generator.ratios.len();
        self.conv("rpn_head.rpn_conv", rpn.feat_channels, rpn.in_channels, 3);
        self.conv("rpn_head.rpn_cls", anchors, rpn.feat_channels, 1);
        self.conv("rpn_head.rpn_reg", anchors * 4, rpn.feat_channels, 1);
    }

    fn bbox_head(&mut self, config: &Config) {
        let head = &config.bbox_head;
        let classes = config.num_classes.saturating_sub(1);
        let cells = head.roi_feat_size * head.roi_feat_size;
        let deltas = if head.reg_class_agnostic { 1 } else { classes } * 4;
        let name = "roi_head.bbox_head";
        let width = head.fc_out_channels;
        self.fc(
            &format!("{name}.shared_fcs.0"),
            width,
            head.in_channels * cells,
        );
        self.fc(&format!("{name}.shared_fcs.1"), width, width);
        self.fc(&format!("{name}.fc_cls"), classes + 1, width);
        self.fc(&format!("{name}.fc_reg"), deltas, width);
    }

    fn mask_head(&mut self, config: &Config) {
        let head = &config.mask_head;
        let width = head.conv_out_channels;
        let mut inputs = head.in_channels;
        for conv in 0..head.num_convs {
            self.conv(
                &format!("roi_head.mask_head.convs.{conv}.conv"),
                width,
                inputs,
                3,
            );
            inputs = width;
        }
        let upsample = "roi_head.mask_head.upsample";
        self.push(
            format!("{upsample}.weight"),
            &[inputs, width, 2, 2],
            Kind::Deconv,
        );
        self.bias(upsample, width);
        let classes = config.num_classes.saturating_sub(1);
        self.conv("roi_head.mask_head.conv_logits", classes, width, 1);
    }

    fn mask_iou_head(&mut self, config: &Config) {
        let head = &config.mask_iou_head;
        // The mask is the last input channel.
        let mut inputs = head.in_channels + 1;
        for conv in 0..head.num_convs {
            let name = format!("{IOU_HEAD}convs.{conv}");
            self.conv(&name, head.conv_out_channels, inputs, 3);
            inputs = head.conv_out_channels;
        }
        // The last convolution halves the side.
        let cells = (head.roi_feat_size / 2) * (head.roi_feat_size / 2);
        let mut inputs = inputs * cells;
        for fc in 0..head.num_fcs {
            self.fc(&format!("{IOU_HEAD}fcs.{fc}"), head.fc_out_channels, inputs);
            inputs = head.fc_out_channels;
        }
        let classes = config.num_classes.saturating_sub(1);
        self.fc(&format!("{IOU_HEAD}fc_mask_iou"), classes, inputs);
    }
}
