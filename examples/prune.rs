//! Prunes a model by a rule, and says for each weight what is left, and how small the model becomes.
//!
//!     cargo run --release --example prune -- MODEL RULE
//!
//! for instance `examples/digits-300-100.pb error:0.3`. Nothing is written.

use std::process::ExitCode;
use tfzip::prune::{PruneOptions, Rule, Weights};
use tfzip::{PackOptions, PrunedModel, Result};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, rule] = args.as_slice() else {
        eprintln!("usage: prune MODEL RULE");
        return ExitCode::from(2);
    };
    match rows(rule).and_then(|()| whole_model(model, rule)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("prune: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A rule is about numbers: it needs no model.
fn rows(rule: &str) -> Result<()> {
    let rule: Rule = rule.parse()?;
    let values = [0.1, -0.5, 0.3, 0.0, 1.0, 0.2, -0.3, 0.4];
    let weights = Weights {
        values: &values,
        columns: 4,
    };
    for pruning in rule.prune(&[weights])? {
        let left: Vec<f64> = values
            .iter()
            .zip(pruning.mask.iter())
            .map(|(&w, is_left)| if is_left { w } else { 0.0 })
            .collect();
        println!("{rule} of {values:?}\n  leaves {left:?}");
    }
    Ok(())
}

/// And about all weights of a model, whatever kind of file it is.
fn whole_model(path: &str, rule: &str) -> Result<()> {
    let mut options = PruneOptions::default();
    options.rules = vec![rule.parse()?];
    let pruned = PrunedModel::of_file(path, &options, 0)?;
    for tensor in &pruned.report().tensors {
        println!(
            "{}: {} of {} left, relative error {:.3}",
            tensor.name, tensor.left, tensor.parameters, tensor.relative_error
        );
    }
    let packed = pruned.packed(&PackOptions::default())?;
    println!("{} => {} bytes", packed.model_bytes, packed.archive_bytes);
    Ok(())
}
