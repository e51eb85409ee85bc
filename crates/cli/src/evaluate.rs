//! `burnsight evaluate`: are the maps to be believed?

mod figures;
mod ledger;
mod metrics;
mod page;
mod pictures;
mod report;

use std::{
    cell::RefCell,
    collections::BTreeSet,
    io::{Write, stdout},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::{Device, Tensor, activation::softmax};
use burnsight::{
    Classifier, Error, MicroBatcher, Seed, Target, device,
    evaluation::{CascadingRandomization, Fragility, Metric, PixelValue, Reading, Subject},
    zoo::Model,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    arguments::EvaluateArguments,
    choice,
    explainer::Explainer,
    methods::Method,
    model, output,
    settings::Settings,
    setup::{Opened, Setup},
};
use ledger::{Key, Ledger};
use pictures::{Prepared, Source};
use report::{Evaluated, Evaluation, MadeBy, MethodEntry};

pub use metrics::{METRICS, Needs};
use metrics::{MetricEntry, MetricSettings};

/// Everything that is the same for all pictures.
struct Job<'a> {
    arguments: &'a EvaluateArguments,
    methods: Vec<&'static Method>,
    metrics: Vec<(&'static MetricEntry, Box<dyn Metric + 'a>)>,
    settings: &'a Settings,
    model: &'a Model,
    device: Device,
    batches: MicroBatcher,
    ledger: RefCell<Ledger>,
    /// Methods that do not work on this model, and metrics on a method. Only what was asked for by name is an error.
    left_out: RefCell<BTreeSet<(&'static str, &'static str)>>,
    progress: ProgressBar,
}

pub fn run(arguments: &EvaluateArguments) -> Result<()> {
    let (metrics, stray) = choice::choose("metric", &arguments.metrics, &METRICS)?;
    let setup = Setup::new(&arguments.methods, &[arguments.paths.clone(), stray].concat())?;
    let batches = MicroBatcher::new(arguments.methods.batch)?;
    output::prepare_folder(&arguments.out)?;
    let paths = setup.paths.clone();
    let Opened { methods, settings, model, device } =
        setup.open(&arguments.methods, &arguments.model, batches.clone())?;
    let sources = pictures::find(arguments, &paths, &model.labels)?;
    let twin = arguments.twin.as_ref().map(|file| model::open_twin(file, &model, &device)).transpose()?;
    let metric_settings = MetricSettings { seed: Seed(arguments.methods.seed), twin: twin.as_ref() };
    let has_masks = sources.iter().any(Source::has_mask);
    let progress = ProgressBar::new(0)
        .with_style(ProgressStyle::with_template("{bar:30} {percent} %  {eta} left  {msg}").context("progress bar")?);
    let mut chosen = Vec::new();
    for entry in metrics {
        let missing = match entry.needs {
            Needs::Masks if !has_masks => Some("there are no masks: give --masks DIR or --scenes 10"),
            Needs::Twin if twin.is_none() => Some("it needs a twin trained on random labels: give --twin FILE"),
            _ => None,
        };
        match missing {
            None => chosen.push((entry, (entry.build)(&metric_settings)?)),
            Some(problem) if arguments.metrics.iter().any(|name| name == entry.name) => {
                return Err(Error::unsupported(entry.name, problem).into());
            }
            Some(problem) => eprintln!("note: {} left out: {problem}", entry.name),
        }
    }
    if chosen.is_empty() {
        bail!("no metric is left to measure");
    }
    let fingerprint = fingerprint(arguments, &model, &settings);
    let (ledger, known) = Ledger::open(&arguments.out, &fingerprint)?;
    if known > 0 {
        eprintln!("note: going on with {known} measurements in {}", arguments.out.join(ledger::FILE).display());
    }
    let job = Job {
        arguments,
        methods,
        metrics: chosen,
        settings: &settings,
        model: &model,
        device,
        batches,
        ledger: RefCell::new(ledger),
        left_out: RefCell::default(),
        progress,
    };
    job.evaluate(&sources)
}

/// Whatever has an influence on the numbers, besides the picture and the metric's own settings.
fn fingerprint(arguments: &EvaluateArguments, model: &Model, settings: &Settings) -> Value {
    let methods = &arguments.methods;
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "model": model.sha256,
        "preprocessing": model.preprocessing,
        "twin": arguments.twin,
        "device": methods.device,
        "layer": methods.layer,
        "seed": methods.seed,
        "samples": methods.samples,
        "steps": methods.steps,
        "largest_gap": methods.largest_gap,
        "baseline": methods.baseline,
        "rules": methods.rules,
        "patterns": settings.patterns.as_ref().map(|patterns| &patterns.origin),
    })
}

impl Job<'_> {
    fn evaluate(&self, sources: &[Source]) -> Result<()> {
        let chunks: Vec<&[Source]> = sources.chunks(self.batches.size()).collect();
        let passes = |method: &Method, metric: &MetricEntry| {
            (metric.passes)(1 + (method.samples)(self.settings), self.model) as u64
        };
        let all = self.methods.iter().flat_map(|method| self.metrics.iter().map(|(entry, _)| passes(method, entry)));
        self.progress.set_length(all.sum::<u64>() * sources.len() as u64);
        self.progress.enable_steady_tick(Duration::from_millis(200));
        let mut evaluated: Vec<Evaluated> = Vec::new();
        let mut shown = None;
        let mut failed = 0;
        for chunk in chunks {
            let mut prepared = Vec::new();
            for source in chunk {
                match source.prepare(self.model, self.arguments.methods.max_pixels, &self.device) {
                    Ok(picture) => {
                        shown.get_or_insert(source);
                        prepared.push((source, picture));
                    }
                    Err(error) => {
                        failed += 1;
                        self.progress.suspend(|| eprintln!("error: {error:#}"));
                    }
                }
            }
            if !prepared.is_empty() {
                let pictures = device::guarded(|| self.evaluate_chunk(&prepared, passes));
                evaluated.extend(pictures.map_err(anyhow::Error::from).flatten()?);
            }
        }
        let Some(shown) = shown else { bail!("none of the {} pictures could be read", sources.len()) };
        self.write(&evaluated, sources.len(), shown)?;
        match failed {
            0 => Ok(()),
            _ => Err(anyhow!("{failed} of {} pictures could not be read; the rest was evaluated", sources.len())),
        }
    }

    /// Measures a few pictures by every method and metric, except for what the ledger knows.
    fn evaluate_chunk(
        &self,
        pictures: &[(&Source, Prepared)],
        passes: impl Fn(&Method, &MetricEntry) -> u64,
    ) -> Result<Vec<Evaluated>> {
        let images = Tensor::cat(pictures.iter().map(|(_, picture)| picture.tensor.clone()).collect(), 0);
        let logits = self.model.network.logits(images.clone())?;
        let target = Target::Top.pin(&logits)?;
        let probabilities = target.score(softmax(logits, 1))?.values;
        let Target::Classes(classes) = &target else { bail!("the top class is a class") };
        let evaluated: Vec<Evaluated> = pictures
            .iter()
            .zip(classes.iter().zip(probabilities))
            .map(|((source, picture), (class, probability))| {
                Evaluated::new(source, picture, *class, probability, &self.model.labels)
            })
            .collect();
        for method in &self.methods {
            let explainer = Explainer { method, settings: self.settings };
            let mut subject = None;
            for (entry, metric) in &self.metrics {
                let planned = passes(method, entry) * pictures.len() as u64;
                let key = |picture: &Evaluated| self.key(method, metric.as_ref(), picture);
                let is_known = evaluated.iter().all(|picture| self.ledger.borrow().get(&key(picture)).is_some());
                if !is_known && !self.is_left_out(method.name, entry.name) {
                    self.progress.set_message(format!("{}, {}", method.name, entry.name));
                    let context = || format!("{}, {}", method.name, entry.name);
                    if subject.is_none() {
                        match Subject::of_network(&self.model.network, &explainer, images.clone(), &target) {
                            Err(Error::Unsupported { problem, .. }) if !self.asked_for_method(method) => {
                                self.leave_out_method(method.name, &problem);
                                break;
                            }
                            made => {
                                let made = made.with_context(context)?.with_pixel_value(explainer.pixel_value());
                                subject = Some(made.with_batches(self.batches.clone()));
                            }
                        }
                    }
                    let Some(subject) = &subject else { break };
                    match measure(entry, metric.as_ref(), subject, pictures, &evaluated) {
                        Err(Error::Unsupported { problem, .. }) if !self.asked_for_metric(entry) => {
                            self.leave_out(method.name, entry.name, &problem);
                        }
                        readings => {
                            for (picture, readings) in evaluated.iter().zip(readings.with_context(context)?) {
                                self.ledger.borrow_mut().add(key(picture), readings)?;
                            }
                        }
                    }
                }
                self.progress.inc(planned);
            }
        }
        Ok(evaluated)
    }

    fn key(&self, method: &Method, metric: &dyn Metric, picture: &Evaluated) -> Key {
        Key {
            method: method.name.into(),
            metric: metric.name().into(),
            parameters: metric.parameters().to_string(),
            picture: picture.key.clone(),
        }
    }

    fn asked_for_method(&self, method: &Method) -> bool {
        self.arguments.methods.names.iter().any(|name| name == method.name)
    }

    fn asked_for_metric(&self, entry: &MetricEntry) -> bool {
        self.arguments.metrics.iter().any(|name| name == entry.name)
    }

    fn is_left_out(&self, method: &str, metric: &str) -> bool {
        self.left_out.borrow().iter().any(|(m, n)| *m == method && *n == metric)
    }

    fn leave_out(&self, method: &'static str, metric: &'static str, problem: &str) {
        if self.left_out.borrow_mut().insert((method, metric)) {
            self.progress.suspend(|| eprintln!("note: {metric} of {method} left out: {problem}"));
        }
    }

    fn leave_out_method(&self, method: &'static str, problem: &str) {
        self.progress.suspend(|| eprintln!("note: {method} left out: {problem}"));
        let metrics = self.metrics.iter().map(|(entry, _)| (method, entry.name));
        self.left_out.borrow_mut().extend(metrics);
    }

    /// Tables, files and figures; those of maps show one picture.
    fn write(&self, pictures: &[Evaluated], given: usize, shown: &Source) -> Result<()> {
        let out = &self.arguments.out;
        let ledger = self.ledger.borrow();
        let metrics = self.metrics.iter().map(|(entry, metric)| {
            let of_method = |method: &&'static Method| {
                let readings = |picture: &Evaluated| ledger.get(&self.key(method, metric.as_ref(), picture)).cloned();
                (method.name, pictures.iter().map(readings).collect::<Vec<_>>())
            };
            report::MetricReport::new(entry, metric.parameters(), self.methods.iter().map(of_method).collect())
        });
        let made_by = MadeBy::new(self.arguments, self.model);
        let by_sign = |method| Explainer { method, settings: self.settings }.pixel_value() == PixelValue::Signed;
        let entry = |method: &&'static Method| MethodEntry { name: method.name, by_sign: by_sign(method) };
        let methods = self.methods.iter().map(entry).collect();
        let evaluation = Evaluation::new(made_by, pictures.to_vec(), given, methods, metrics.collect())?;
        output::json(&out.join("evaluation.json"), &evaluation)?;
        output::bytes(&out.join("evaluation.csv"), &evaluation.csv()?)?;
        self.progress.suspend(|| evaluation.print())?;
        output::bytes(&out.join("evaluation.html"), page::render(&evaluation)?.as_bytes())?;
        output::png(&out.join("evaluation.png"), &figures::panels(&evaluation)?)?;
        let mut written = vec!["evaluation.json", "evaluation.csv", "evaluation.html", "evaluation.png"];
        if self.metrics.iter().any(|(entry, _)| entry.name == CascadingRandomization::NAME) {
            self.sanity_figure(shown)?;
            written.push("sanity.png");
        }
        if self.metrics.iter().any(|(entry, _)| entry.name == Fragility::NAME) {
            self.fragility_figure(shown)?;
            written.push("fragility.png");
        }
        self.progress.finish_and_clear();
        writeln!(stdout(), "\nwrote {} into {}", written.join(", "), out.display())?;
        Ok(())
    }
}

/// One list of readings per picture.
fn measure(
    entry: &MetricEntry,
    metric: &dyn Metric,
    subject: &Subject<'_>,
    pictures: &[(&Source, Prepared)],
    evaluated: &[Evaluated],
) -> burnsight::Result<Vec<Vec<Reading>>> {
    if entry.needs != Needs::Masks {
        let readings = metric.measure(subject)?;
        return Ok((0..pictures.len()).map(|index| of_picture(&readings, index)).collect());
    }
    // Where the model is wrong it may well have looked elsewhere.
    let counts = |index: &usize| pictures[*index].1.mask.is_some() && evaluated[*index].is_right != Some(false);
    let counted: Vec<usize> = (0..pictures.len()).filter(counts).collect();
    let mut all = vec![Vec::new(); pictures.len()];
    if !counted.is_empty() {
        let masks = counted.iter().filter_map(|index| pictures[*index].1.mask.clone()).collect();
        let readings = metric.measure(&subject.of_pictures(&counted)?.with_masks(masks)?)?;
        counted.iter().enumerate().for_each(|(place, index)| all[*index] = of_picture(&readings, place));
    }
    Ok(all)
}

fn of_picture(readings: &[Reading], index: usize) -> Vec<Reading> {
    readings.iter().map(|reading| reading.of_picture(index)).collect()
}
