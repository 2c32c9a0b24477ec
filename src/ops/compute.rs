//! The graphics adapter as a calculator: compute shaders on numbers of the host.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Threads of a workgroup, as the shaders say.
const WORKGROUP: u32 = 64;
/// Binding of the uniform, of the inputs from 1 on, and behind them of the output.
const INPUTS: usize = 3;

/// Why a computation did not happen. The caller computes on the processor instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{adapter}: {reason}")]
pub struct ComputeError {
    /// What was to compute.
    pub adapter: String,
    /// Why it did not.
    pub reason: String,
}

/// An opened adapter.
pub struct Compute {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    limits: wgpu::Limits,
    /// Most values of f32 in one array.
    most_values: usize,
    /// What broke; nothing is asked of the device any more.
    broken: Arc<Broken>,
    pipelines: Mutex<Vec<(&'static str, wgpu::ComputePipeline)>>,
}

#[derive(Default)]
struct Broken {
    is_set: AtomicBool,
    reason: Mutex<String>,
}

impl Broken {
    fn set(&self, reason: String) {
        *lock(&self.reason) = reason;
        self.is_set.store(true, Ordering::Release);
    }

    fn reason(&self) -> Option<String> {
        let is_set = self.is_set.load(Ordering::Acquire);
        is_set.then(|| lock(&self.reason).clone())
    }
}

impl fmt::Debug for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compute")
            .field("adapter", &self.info.name)
            .finish_non_exhaustive()
    }
}

/// An entry point of a shader.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// WGSL.
    pub source: &'static str,
    /// Entry point; unique among all kernels.
    pub entry: &'static str,
}

/// One computation: a uniform, three arrays in, one array out.
#[expect(missing_debug_implementations, reason = "it borrows a function")]
pub struct Dispatch<'a> {
    /// What runs.
    pub kernel: Kernel,
    /// Bytes of the uniform, made from the number of invocations in a row of the dispatch.
    pub uniform: &'a dyn Fn(u32) -> Vec<u8>,
    /// Bytes of the arrays; an empty one is bound as one zero.
    pub inputs: [&'a [u8]; INPUTS],
    /// Values (f32) of the result, one invocation each.
    pub outputs: usize,
}

impl Compute {
    /// The adapter that the system would give for speed, a software one included.
    ///
    /// # Errors
    /// No adapter; one that cannot be opened.
    pub fn open() -> Result<Self, ComputeError> {
        let instance =
            wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::from_env()
                .unwrap_or(wgpu::PowerPreference::HighPerformance),
            ..wgpu::RequestAdapterOptions::default()
        };
        let adapter = pollster::block_on(instance.request_adapter(&options));
        let adapter = adapter.map_err(|error| ComputeError {
            adapter: "no graphics adapter".into(),
            reason: error.to_string(),
        })?;
        Self::of(&adapter)
    }

    fn of(adapter: &wgpu::Adapter) -> Result<Self, ComputeError> {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        let refused = |reason: String| ComputeError {
            adapter: info.name.clone(),
            reason,
        };
        if !adapter
            .get_downlevel_capabilities()
            .flags
            .contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
        {
            return Err(refused("it has no compute shaders".into()));
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("compute"),
            required_limits: limits.clone(),
            ..wgpu::DeviceDescriptor::default()
        };
        let opened = pollster::block_on(adapter.request_device(&descriptor));
        let (device, queue) = opened.map_err(|error| refused(error.to_string()))?;
        let broken = Arc::new(Broken::default());
        let (on_loss, on_error) = (Arc::clone(&broken), Arc::clone(&broken));
        device.set_device_lost_callback(move |reason, text| {
            on_loss.set(format!("the device is lost ({reason:?}) {text}"));
        });
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            on_error.set(error.to_string());
        }));
        let mut compute = Self {
            device,
            queue,
            info,
            limits,
            most_values: 0,
            broken,
            pipelines: Mutex::default(),
        };
        compute.most_values = compute.most_by_limits();
        Ok(compute)
    }

    /// Name of the adapter.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// Name, driver and its version: what a measurement is remembered for.
    pub fn identity(&self) -> String {
        let wgpu::AdapterInfo {
            name,
            driver,
            driver_info,
            backend,
            ..
        } = &self.info;
        format!("{name}, {driver} {driver_info}, {backend}")
    }

    /// Whether the processor pretends to be an adapter.
    pub fn is_software(&self) -> bool {
        self.info.device_type == wgpu::DeviceType::Cpu
    }

    /// Most values of f32 in one array: larger computations are taken apart.
    pub fn most_values(&self) -> usize {
        self.most_values
    }

    /// The same adapter with smaller arrays.
    pub fn with_most_values(mut self, values: usize) -> Self {
        self.most_values = self.most_values.min(values);
        self
    }

    fn most_by_limits(&self) -> usize {
        let bytes = self
            .limits
            .max_storage_buffer_binding_size
            .min(self.limits.max_buffer_size);
        let invocations = u64::from(self.row()) * u64::from(self.most_groups());
        usize::try_from((bytes / 4).min(invocations).min(u64::from(u32::MAX))).unwrap_or(usize::MAX)
    }

    /// Gives the device up, as if the driver had: for tests of what follows. Nobody is told: the next computation finds out.
    pub fn lose(&self) {
        self.device.destroy();
    }

    /// Computes; the values of the result.
    ///
    /// # Errors
    /// A device that is lost, out of memory, or refuses.
    pub fn run(&self, dispatch: &Dispatch<'_>) -> Result<Vec<f32>, ComputeError> {
        if dispatch.outputs == 0 {
            return Ok(Vec::new());
        }
        self.check()?;
        let too_large = dispatch.inputs.iter().map(|input| input.len() / 4);
        if too_large
            .chain([dispatch.outputs])
            .any(|n| n > self.most_values())
        {
            return Err(self.error("an array is larger than the adapter takes".into()));
        }
        let out_of_memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let invalid = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let staged = self.submit(dispatch);
        for scope in [invalid, out_of_memory] {
            if let Some(error) = pollster::block_on(scope.pop()) {
                return Err(self.error(error.to_string()));
            }
        }
        self.read(&staged, dispatch.outputs)
    }

    fn submit(&self, dispatch: &Dispatch<'_>) -> wgpu::Buffer {
        let bytes = (dispatch.outputs * size_of::<f32>()) as u64;
        let buffer = |size, usage| {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        let result = buffer(
            bytes,
            wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
        );
        let staged = buffer(
            bytes,
            wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        );
        let filled = |contents: &[u8], usage| {
            let contents = if contents.is_empty() {
                &[0; 16]
            } else {
                contents
            };
            // Not mapped: of a device that is lost there is no mapping, which would be a panic.
            let made = buffer(contents.len() as u64, usage | wgpu::BufferUsages::COPY_DST);
            self.queue.write_buffer(&made, 0, contents);
            made
        };
        let uniform = filled(&(dispatch.uniform)(self.row()), wgpu::BufferUsages::UNIFORM);
        let inputs = dispatch
            .inputs
            .map(|bytes| filled(bytes, wgpu::BufferUsages::STORAGE));
        let pipeline = self.pipeline(dispatch.kernel);
        let bound: Vec<wgpu::BindGroupEntry<'_>> = (0..)
            .zip([&uniform].into_iter().chain(&inputs).chain([&result]))
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(dispatch.kernel.entry),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &bound,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &group, &[]);
            let groups = (dispatch.outputs as u64).div_ceil(u64::from(WORKGROUP));
            let columns = groups.min(u64::from(self.most_groups()));
            let rows = groups.div_ceil(columns.max(1));
            pass.dispatch_workgroups(columns as u32, rows as u32, 1);
        }
        encoder.copy_buffer_to_buffer(&result, 0, &staged, 0, bytes);
        self.queue.submit([encoder.finish()]);
        staged
    }

    fn read(&self, staged: &wgpu::Buffer, values: usize) -> Result<Vec<f32>, ComputeError> {
        let (sender, receiver) = channel();
        staged.map_async(wgpu::MapMode::Read, .., move |mapped| {
            let _ = sender.send(mapped);
        });
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .map_err(|error| self.error(error.to_string()))?;
        let mapped = receiver.try_recv();
        self.check()?;
        match mapped {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(self.error(error.to_string())),
            Err(error) => return Err(self.error(error.to_string())),
        }
        let view = staged
            .get_mapped_range(..)
            .map_err(|error| self.error(error.to_string()))?;
        let found: Vec<f32> = bytemuck::pod_collect_to_vec(&view);
        debug_assert_eq!(found.len(), values);
        Ok(found)
    }

    /// Whether the device still answers.
    ///
    /// # Errors
    /// It is lost, or refused a computation.
    pub fn check(&self) -> Result<(), ComputeError> {
        match self.broken.reason() {
            Some(reason) => Err(self.error(reason)),
            None => Ok(()),
        }
    }

    fn error(&self, reason: String) -> ComputeError {
        ComputeError {
            adapter: self.info.name.clone(),
            reason,
        }
    }

    fn most_groups(&self) -> u32 {
        self.limits.max_compute_workgroups_per_dimension.max(1)
    }

    /// Invocations in a row of a dispatch.
    fn row(&self) -> u32 {
        self.most_groups().saturating_mul(WORKGROUP)
    }

    fn pipeline(&self, kernel: Kernel) -> wgpu::ComputePipeline {
        let mut pipelines = lock(&self.pipelines);
        if let Some((_, pipeline)) = pipelines.iter().find(|(entry, _)| *entry == kernel.entry) {
            return pipeline.clone();
        }
        let module = self
            .device
            .create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(kernel.entry),
                source: wgpu::ShaderSource::Wgsl(kernel.source.into()),
            });
        let pipeline = self
            .device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(kernel.entry),
                layout: None,
                module: &module,
                entry_point: Some(kernel.entry),
                compilation_options: Default::default(),
                cache: None,
            });
        pipelines.push((kernel.entry, pipeline.clone()));
        pipeline
    }
}

/// What the operations of this process use.
static IN_USE: RwLock<Option<Arc<Compute>>> = RwLock::new(None);

/// The adapter that was chosen, while it answers.
pub fn in_use() -> Option<Arc<Compute>> {
    IN_USE
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// Lets operations that have a shader use an adapter from now on, or none.
pub fn set_in_use(compute: Option<Arc<Compute>>) {
    *IN_USE.write().unwrap_or_else(PoisonError::into_inner) = compute;
}

/// An adapter failed: the processor takes over for the rest of the process, and the user hears of it once.
pub(super) fn give_up(compute: &Compute, error: &ComputeError) {
    let mut in_use = IN_USE.write().unwrap_or_else(PoisonError::into_inner);
    if in_use
        .as_ref()
        .is_some_and(|chosen| std::ptr::eq(Arc::as_ptr(chosen), compute))
    {
        *in_use = None;
    }
    drop(in_use);
    log::warn!("{error}; going on with the processor");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
