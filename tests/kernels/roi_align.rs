//! RoIAlign's kernels as one more place of the tests of RoIAlign.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use maskscope::ops::kernels::roi_align::{Dims, backward, forward};
use maskscope::ops::roi_align::RoiAlign;

use super::host::Host;

/// The bodies of the kernels as an operation of candle's graph.
pub struct OnHost {
    pub host: Host,
    pub align: RoiAlign,
}

impl OnHost {
    pub fn run(self, map: &Tensor, rois: &Tensor) -> Result<Tensor> {
        map.contiguous()?.apply_op2(&rois.contiguous()?, self)
    }

    fn dims(&self, map: &Shape, rois: usize) -> Result<Dims> {
        let (n, c, h, w) = map.dims4()?;
        Ok(Dims {
            map: [n, c, h, w],
            rois,
        })
    }
}

impl CustomOp2 for OnHost {
    fn name(&self) -> &'static str {
        "roi_align on the bodies of its kernels"
    }

    fn cpu_fwd(
        &self,
        map: &CpuStorage,
        map_layout: &Layout,
        rois: &CpuStorage,
        rois_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let count = rois_layout.dims()[0];
        let dims = self.dims(map_layout.shape(), count)?;
        let map = self.host.floats(map.as_slice::<f32>()?);
        let rois = self.host.floats(rois.as_slice::<f32>()?);
        let out = forward(&self.host, &map, &rois, dims, self.align)?;
        let shape = (
            count,
            dims.map[1],
            self.align.out_height,
            self.align.out_width,
        );
        Ok((CpuStorage::F32(out.floats()), Shape::from(shape)))
    }

    fn bwd(
        &self,
        map: &Tensor,
        rois: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let values = |tensor: &Tensor| tensor.flatten_all()?.to_vec1::<f32>();
        let dims = self.dims(map.shape(), rois.dim(0)?)?;
        let gradient = self.host.floats(&values(gradient)?);
        let rois = self.host.floats(&values(rois)?);
        let out = backward(&self.host, &gradient, &rois, dims, self.align)?;
        let out = Tensor::from_vec(out.floats(), map.shape(), map.device())?;
        Ok((Some(out), None))
    }
}

/// A device cannot answer with an error: what it cannot use becomes NaN, which the network's checks find.
#[test]
fn broken_rois_give_nan() {
    let Some(host) = Host::get() else { return };
    let align = RoiAlign {
        out_height: 2,
        out_width: 2,
        spatial_scale: 0.25,
        sampling_ratio: 0,
    };
    let dims = Dims {
        map: [1, 2, 8, 8],
        rois: 1,
    };
    let map = host.floats(&[1.0; 128]);
    let hostile = [
        [1.0, 0.0, 0.0, 8.0, 8.0],
        [-1.0, 0.0, 0.0, 8.0, 8.0],
        [f32::NAN, 0.0, 0.0, 8.0, 8.0],
        [0.0, f32::NAN, 0.0, 8.0, 8.0],
        [0.0, 0.0, 0.0, f32::INFINITY, 8.0],
        [0.0, -1e30, 0.0, 1e30, 8.0],
    ];
    for roi in hostile {
        let out = forward(&host, &map, &host.floats(&roi), dims, align).unwrap();
        assert!(out.floats().iter().all(|value| value.is_nan()), "{roi:?}");
    }
    let fine = host.floats(&[0.0, 0.0, 0.0, 16.0, 16.0]);
    let out = forward(&host, &map, &fine, dims, align).unwrap();
    assert_eq!(out.floats(), [1.0; 8]);
}
