//! `burnsight explain`: maps of pictures, drawn, with everything needed to make and judge them.

mod report;
mod verdict;

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    io::{Write, stdout},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::Device;
use burnsight::{
    Error, MicroBatcher, device,
    network::Network,
    read,
    visualization::{Montage, MontageCell, MontageRow, SaliencyMap},
    zoo::{self, Model, Picture},
};
use image::{RgbImage, imageops};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    arguments::ExplainArguments,
    explainer::Explainer,
    methods::Method,
    output,
    settings::Settings,
    setup::{Opened, Setup},
};
use report::{DrawingReport, MapReport, ModelReport, PictureReport, Question, RankedClass, Sidecar};
use verdict::{Randomized, Verdict};

/// Side of a cell of the comparison, in pixels.
const CELL: u32 = 224;

/// Pictures in the comparison; more would make a sheet that nobody can look at.
const MOST_ROWS: usize = 24;

/// Classes printed and noted for each picture.
const TOP_CLASSES: usize = 3;

/// Everything that is the same for all pictures.
struct Job<'a> {
    arguments: &'a ExplainArguments,
    methods: Vec<&'static Method>,
    settings: Settings,
    model: Model,
    device: Device,
    /// The class to explain; `None` for each picture's own top class.
    class: Option<usize>,
    against: Option<usize>,
    /// What maps are tested with, unless that is not wanted.
    randomized: Option<Randomized>,
    /// Methods that do not work on this model. Only what was asked for by name is an error then.
    left_out: RefCell<BTreeSet<&'static str>>,
    progress: ProgressBar,
}

pub fn run(arguments: &ExplainArguments) -> Result<()> {
    let progress = ProgressBar::new(0)
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}  {eta} left").context("progress bar")?);
    let setup = Setup::new(&arguments.methods, &arguments.paths)?;
    if setup.paths.is_empty() {
        bail!("no picture given: name pictures or folders, as in `burnsight explain examples/images`");
    }
    let pictures = zoo::find_pictures(&setup.paths)?;
    output::prepare_folder(&arguments.out)?;
    let batches = MicroBatcher::new(arguments.methods.batch)?.with_observer(advance(progress.clone()));
    let Opened { methods, settings, model, device } = setup.open(&arguments.methods, &arguments.model, batches)?;
    let class = match arguments.target.as_str() {
        "top" => None,
        class => Some(model.labels.find(class)?),
    };
    let against = arguments.against.as_deref().map(|class| model.labels.find(class)).transpose()?;
    let left_out = RefCell::default();
    let randomized = match arguments.no_verdict {
        true => None,
        false => Randomized::upper_half(&model.network, settings.seed)?,
    };
    let job = Job { arguments, methods, settings, model, device, class, against, randomized, left_out, progress };
    let steps: u64 = job.methods.iter().map(|method| job.planned(method)).sum();
    job.progress.set_length(steps * pictures.len() as u64);
    job.progress.enable_steady_tick(Duration::from_millis(200));
    job.explain_all(&pictures)
}

impl Job<'_> {
    fn explain_all(&self, pictures: &[PathBuf]) -> Result<()> {
        let mut rows = Vec::new();
        let mut failed = 0;
        for (picture, folder) in pictures.iter().zip(folders(&self.arguments.out, pictures)) {
            // One picture that cannot be read must not cost the others.
            match device::guarded(|| self.explain(picture, &folder)).map_err(anyhow::Error::from).flatten() {
                Ok(row) if rows.len() < MOST_ROWS => rows.push(row),
                Ok(_) => {}
                Err(error) => {
                    failed += 1;
                    self.progress.suspend(|| eprintln!("error: {error:#}"));
                }
            }
        }
        self.progress.finish_and_clear();
        if !rows.is_empty() {
            self.write_comparison(rows, pictures.len() - failed)?;
        }
        match failed {
            0 => Ok(()),
            _ => Err(anyhow!("{failed} of {} pictures could not be explained", pictures.len())),
        }
    }

    /// Explains one picture by every method, from one recorded forward pass.
    fn explain(&self, path: &Path, folder: &Path) -> Result<MontageRow> {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        self.progress.set_message(name.clone());
        let picture = Picture::open(path, self.arguments.methods.max_pixels)?;
        let prepared = self.model.preprocessing.apply(&picture.rgb, &self.device)?;
        let trace = self.model.network.record(prepared.tensor.clone())?;
        let classes = report::ranked(&read(trace.logits())?, &self.model.labels);
        let notes: Vec<String> = picture.notes.iter().chain(&prepared.notes).cloned().collect();
        let question = Question::new(self.class.unwrap_or(classes[0].index), self.against, &classes);
        self.say(&name, &picture.rgb, &classes, &question, &notes)?;

        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        if self.arguments.raw {
            let input = SaliencyMap::from_tensor(prepared.tensor.clone())?;
            self.write_raw(folder, "input", &input)?;
        }
        let mut cells = Vec::new();
        let mut position = self.progress.position();
        for method in &self.methods {
            // Methods may look at a few more pictures than planned, to compare with, or at fewer.
            position += self.planned(method);
            let context = || format!("{}, {}", path.display(), method.name);
            let attribution = match (method.explain)(&self.settings, &trace, &question.target()) {
                Err(Error::Unsupported { problem, .. }) if !self.asked_for(method) => {
                    self.leave_out(method, &problem);
                    self.progress.set_position(position);
                    continue;
                }
                attribution => attribution.with_context(context)?,
            };
            let map = SaliencyMap::of(&attribution, 0).with_context(context)?;
            if let Some(warning) = attribution.completeness.as_ref().and_then(|all| all[0].warning()) {
                let where_to_look = match method.books {
                    Some(_) => format!("; {}.json says which layers kept the rest", method.name),
                    None => String::new(),
                };
                self.note(&format!("{name}, {}: {warning}{where_to_look}", method.name));
            }
            let drawing = (method.style)(&self.settings).draw(&map)?;
            let overlay = drawing.over(&picture.rgb, prepared.view)?;
            output::png(&folder.join(format!("{}.png", method.name)), &overlay)?;
            if self.arguments.raw {
                self.write_raw(folder, method.name, &map)?;
            }
            let verdict = match self.arguments.no_verdict {
                true => None,
                false => {
                    let explain = |network: &Network| {
                        let trace = network.record(prepared.tensor.clone())?;
                        (method.explain)(&self.settings, &trace, &question.target())
                    };
                    let pixel_value = Explainer { method, settings: &self.settings }.pixel_value();
                    let randomized = self.randomized.as_ref();
                    Some(Verdict::of(&attribution, pixel_value, randomized, explain).with_context(context)?)
                }
            };
            if let Some(verdict) = &verdict {
                let line = format!("  {:width$}  {verdict}", method.name, width = self.longest_name());
                self.progress.suspend(|| writeln!(stdout(), "{line}")).context("cannot print")?;
            }
            let sidecar = Sidecar {
                picture: PictureReport::read(path, &picture.rgb, &notes)?,
                model: ModelReport::new(&self.model, &prepared),
                device: &self.arguments.methods.device,
                question: &question,
                score: attribution.scores[0],
                top_classes: &classes[..classes.len().min(TOP_CLASSES)],
                made_by: &attribution.provenance,
                batch: self.settings.batches.size(),
                baseline: &self.arguments.methods.baseline,
                map: MapReport::read(&attribution, &map)?,
                verdict,
                conservation: method
                    .books
                    .map(|books| books(&self.settings, &trace, &question.target()))
                    .transpose()?,
                drawing: DrawingReport::new(&drawing),
            };
            output::json(&folder.join(format!("{}.json", method.name)), &sidecar)?;
            cells.push(MontageCell::new(&drawing, thumbnail(&overlay)));
            self.progress.set_position(position);
        }
        let caption = [vec![name], question.caption()].concat();
        Ok(MontageRow { picture: thumbnail(&picture.rgb), caption, cells })
    }

    /// How far a method moves the bar: its own drawing, and the pictures that it looks at, once more for the verdict.
    fn planned(&self, method: &Method) -> u64 {
        let times = if self.randomized.is_some() { 2 } else { 1 };
        1 + times * (method.samples)(&self.settings) as u64
    }

    fn longest_name(&self) -> usize {
        self.methods.iter().map(|method| method.name.len()).max().unwrap_or(0)
    }

    fn note(&self, text: &str) {
        self.progress.suspend(|| eprintln!("note: {text}"));
    }

    /// Whether a method was named, rather than chosen by default or `all`.
    fn asked_for(&self, method: &Method) -> bool {
        self.arguments.methods.names.iter().any(|name| name == method.name)
    }

    /// Says once that a method does not work on the model.
    fn leave_out(&self, method: &Method, problem: &str) {
        if self.left_out.borrow_mut().insert(method.name) {
            self.note(&format!("{} left out: {problem}", method.name));
        }
    }

    fn write_raw(&self, folder: &Path, name: &str, map: &SaliencyMap) -> Result<()> {
        let shape = [map.channels(), map.height(), map.width()];
        output::npy(&folder.join(format!("{name}.npy")), shape, map.values())
    }

    /// Prints what the model sees in a picture.
    fn say(
        &self,
        name: &str,
        picture: &RgbImage,
        classes: &[RankedClass],
        question: &Question,
        notes: &[String],
    ) -> Result<()> {
        let (width, height) = picture.dimensions();
        let top: Vec<String> = classes.iter().take(TOP_CLASSES).map(RankedClass::to_string).collect();
        let explained = match self.class.is_some() || self.against.is_some() {
            true => format!("\n  explained: {}", question.caption().join(" ")),
            false => String::new(),
        };
        let notes: String = notes.iter().map(|note| format!("\n  note: {note}")).collect();
        let text = format!("{name} ({width}×{height}): {}{explained}{notes}", top.join(", "));
        self.progress.suspend(|| writeln!(stdout(), "{text}")).context("cannot print")
    }

    fn write_comparison(&self, rows: Vec<MontageRow>, explained: usize) -> Result<()> {
        let shown = rows.len();
        let left_out = self.left_out.borrow();
        let shown_methods = self.methods.iter().filter(|method| !left_out.contains(method.name));
        let methods = shown_methods.map(|method| method.name.to_string()).collect();
        let path = self.arguments.out.join("comparison.png");
        output::png(&path, &Montage { cell: CELL, methods, rows }.render()?)?;
        let mut out = stdout().lock();
        if shown < explained {
            writeln!(out, "the comparison shows the first {shown} of {explained} pictures")?;
        }
        writeln!(out, "wrote {}", path.display())?;
        Ok(())
    }
}

/// Moves the bar by the rows of each micro-batch.
fn advance(bar: ProgressBar) -> impl Fn(usize, usize) + Send + Sync {
    let before = AtomicUsize::new(0);
    move |done, total| {
        let before = before.swap(if done == total { 0 } else { done }, Ordering::Relaxed);
        bar.inc((done - before) as u64);
    }
}

/// Where each picture's files go: OUT/<stem>, with a number behind stems that are taken.
fn folders(out: &Path, pictures: &[PathBuf]) -> Vec<PathBuf> {
    let mut taken: HashMap<String, usize> = HashMap::new();
    let stem = |picture: &PathBuf| picture.file_stem().unwrap_or(picture.as_os_str()).to_string_lossy().into_owned();
    pictures
        .iter()
        .map(|picture| {
            let stem = stem(picture);
            let count = taken.entry(stem.to_lowercase()).and_modify(|count| *count += 1).or_insert(1);
            out.join(if *count == 1 { stem } else { format!("{stem}-{count}") })
        })
        .collect()
}

/// No larger than a cell of the comparison, so that a folder of photographs fits into memory.
fn thumbnail(picture: &RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let scale = f64::from(CELL) / f64::from(width.max(height));
    if scale >= 1.0 {
        return picture.clone();
    }
    let side = |pixels: u32| ((f64::from(pixels) * scale).round() as u32).max(1);
    imageops::resize(picture, side(width), side(height), imageops::FilterType::CatmullRom)
}
