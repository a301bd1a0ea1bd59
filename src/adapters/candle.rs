//! An archive as a source of tensors of `candle`.

use super::{cannot, shape_of};
use crate::archive::{Archive, Tensor};
use crate::error::Error;
use crate::tensor::{DType, Element};
use candle_core::{Device, Result, WithDType};
use half::{bf16, f16};
use std::collections::HashMap;

impl<D: AsRef<[u8]>> Archive<D> {
    /// The tensor called `name` on a device of candle, as `candle_core::safetensors` loads them. Needs the
    /// feature `candle`.
    ///
    /// ```
    /// # fn main() -> candle_core::Result<()> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/digits-300-100.pb");
    /// # let model = std::fs::read(path).expect("the example model");
    /// # let packed = tfzip::pack_slice(&model, "digits-300-100.pb", &Default::default());
    /// # let (tfz, _) = packed.map_err(candle_core::Error::wrap)?;
    /// # let archive = tfzip::Archive::new(tfz).map_err(candle_core::Error::wrap)?;
    /// use candle_core::{DType, Device, Tensor};
    ///
    /// let kernel = archive.load("fc1/kernel", &Device::Cpu)?; // 64 rows, 300 columns
    /// let x = Tensor::ones((1, 64), DType::F32, &Device::Cpu)?;
    /// assert_eq!(x.matmul(&kernel)?.dims(), [1, 300]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`tensor`](Self::tensor) and [`Tensor::to_candle`].
    pub fn load(&self, name: &str, device: &Device) -> Result<candle_core::Tensor> {
        let tensor = self.tensor(name).map_err(candle_core::Error::wrap)?;
        tensor.to_candle(device)
    }

    /// All tensors that candle has a dtype for, by name, as `candle_core::safetensors::load_buffer` gives them;
    /// `VarBuilder::from_tensors` of `candle-nn` takes them. Needs the feature `candle`.
    ///
    /// The others, strings and what else a graph has for itself, are left out: [`Tensor::candle_dtype`] says
    /// which they are. Everything is in memory then; [`load`](Self::load) reads one tensor.
    ///
    /// # Errors
    /// As [`Tensor::to_candle`]; if two tensors have one name.
    pub fn load_all(&self, device: &Device) -> Result<HashMap<String, candle_core::Tensor>> {
        self.tensors()
            .filter(|tensor| tensor.candle_dtype().is_some())
            // By name: it is an error if there are several.
            .map(|tensor| Ok((tensor.name().to_owned(), self.load(tensor.name(), device)?)))
            .collect()
    }
}

impl Tensor<'_> {
    /// The dtype that it has in candle; `None` if there is none, or if its elements can't be read. Needs the
    /// feature `candle`.
    ///
    /// A boolean is a `U8`, as candle's own comparisons have it. Quantised types are none, for want of their
    /// scales, nor are integers that candle would have to convert.
    pub fn candle_dtype(&self) -> Option<candle_core::DType> {
        dtype(self.dtype()).filter(|_| self.is_readable())
    }

    /// All elements, as a tensor on a device of candle. Needs the feature `candle`.
    ///
    /// On the CPU they are decoded into the memory that the tensor keeps. Bit patterns are kept.
    ///
    /// # Errors
    /// Of tfzip, wrapped, as [`to_vec`](Self::to_vec), `InvalidArgument` if it has no
    /// [`candle_dtype`](Self::candle_dtype); of the device.
    pub fn to_candle(&self, device: &Device) -> Result<candle_core::Tensor> {
        use candle_core::DType as C;
        match self.candle_dtype() {
            Some(C::U8) => self.load_as::<u8>(device),
            Some(C::U32) => self.load_as::<u32>(device),
            Some(C::I16) => self.load_as::<i16>(device),
            Some(C::I32) => self.load_as::<i32>(device),
            Some(C::I64) => self.load_as::<i64>(device),
            Some(C::BF16) => self.load_as::<bf16>(device),
            Some(C::F16) => self.load_as::<f16>(device),
            Some(C::F32) => self.load_as::<f32>(device),
            Some(C::F64) => self.load_as::<f64>(device),
            Some(dtype) => {
                let bytes = self.to_vec::<u8>().map_err(candle_core::Error::wrap)?;
                let shape = shape_of(self).map_err(candle_core::Error::wrap)?;
                candle_core::Tensor::from_raw_buffer(&bytes, dtype, &shape, device)
            }
            None => Err(candle_core::Error::wrap(self.no_dtype())),
        }
    }

    fn load_as<T: Element + WithDType>(&self, device: &Device) -> Result<candle_core::Tensor> {
        let shape = shape_of(self).map_err(candle_core::Error::wrap)?;
        let elements: Vec<T> = self.to_vec().map_err(candle_core::Error::wrap)?;
        candle_core::Tensor::from_vec(elements, shape, device)
    }

    fn no_dtype(&self) -> Error {
        match dtype(self.dtype()) {
            Some(_) => cannot(self, "its elements are in the model file's own form".into()),
            None => cannot(self, format!("candle has no dtype for {}", self.dtype())),
        }
    }
}

/// The dtype of candle with the same meaning.
fn dtype(dtype: DType) -> Option<candle_core::DType> {
    use candle_core::DType as C;
    Some(match dtype {
        DType::Uint8 | DType::Bool => C::U8,
        DType::Uint32 => C::U32,
        DType::Int16 => C::I16,
        DType::Int32 => C::I32,
        DType::Int64 => C::I64,
        DType::Bfloat16 => C::BF16,
        DType::Float16 => C::F16,
        DType::Float32 => C::F32,
        DType::Float64 => C::F64,
        DType::Float8E4m3fn => C::F8E4M3,
        _ => return None,
    })
}
