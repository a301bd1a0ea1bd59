//! Small graphs, made by hand, for each rule; real models are in the tests of the crate.

mod build;
mod checkpoints;
mod damage;
mod functions;
mod graphs;
mod objects;
mod tflite;
