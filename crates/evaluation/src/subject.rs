//! What is evaluated: maps, and everything they were made from.

use burn::tensor::{Tensor, activation::softmax};
use burnsight_core::{
    Attribution, Attributor, Classifier, Error, MicroBatcher, Provenance, Result, Row, Target, check_images, read,
    select_images,
};
use burnsight_network::Network;
use serde_json::Value;

use crate::Mask;

/// How a map with a value per colour becomes one value per pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PixelValue {
    /// The sum over the colours, with its sign: for maps whose sign says for or against.
    #[default]
    Signed,
    /// The largest magnitude among the colours: for maps that say how much a pixel matters, such as the gradient.
    Magnitude,
}

/// Pictures, a model, a method and its maps.
pub struct Subject<'a> {
    model: &'a dyn Classifier,
    network: Option<NetworkSubject<'a>>,
    explain: Option<Box<Explain<'a>>>,
    images: Tensor<4>,
    attribution: Attribution,
    masks: Option<Vec<Mask>>,
    pixel_value: PixelValue,
    batches: MicroBatcher,
}

type Explain<'a> = dyn Fn(Tensor<4>, &Target) -> Result<Attribution> + 'a;

/// What metrics that change weights need.
#[derive(Clone, Copy)]
struct NetworkSubject<'a> {
    network: &'a Network,
    method: &'a dyn Attributor<Network>,
}

impl<'a> Subject<'a> {
    /// Explains pictures on a network whose layers can be seen: the subject of every metric.
    ///
    /// # Shapes
    /// - images: `[n, c, h, w]`
    ///
    /// # Errors
    /// Those of the method.
    pub fn of_network(
        network: &'a Network,
        method: &'a dyn Attributor<Network>,
        images: Tensor<4>,
        target: &Target,
    ) -> Result<Self> {
        let subject = Self::of_model(network, method, images, target)?;
        Ok(Self { network: Some(NetworkSubject { network, method }), ..subject })
    }

    /// Explains pictures on any model. Metrics that change weights refuse it.
    ///
    /// # Shapes
    /// - images: `[n, c, h, w]`
    ///
    /// # Errors
    /// Those of the method.
    pub fn of_model<M: Classifier>(
        model: &'a M,
        method: &'a dyn Attributor<M>,
        images: Tensor<4>,
        target: &Target,
    ) -> Result<Self> {
        let attribution = method.attribute(model, images.clone(), target)?;
        let explain = Box::new(move |images: Tensor<4>, target: &Target| method.attribute(model, images, target));
        Ok(Self { explain: Some(explain), ..Self::of_attribution(model, images, attribution)? })
    }

    /// Maps from elsewhere. Metrics that explain again refuse them.
    ///
    /// # Shapes
    /// - images: `[n, c, h, w]`
    /// - maps: `[n, c, h, w]` or `[n, 1, h, w]`
    ///
    /// # Errors
    /// [`Error::Image`] for maps that do not fit the pictures, those of the model, and [`Error::Target`].
    pub fn of_maps(model: &'a dyn Classifier, images: Tensor<4>, maps: Tensor<4>, target: &Target) -> Result<Self> {
        check_images(&images)?;
        let logits = model.logits(images.clone())?;
        let target = target.pin(&logits)?;
        let scores = target.score(logits)?.values;
        let provenance = Provenance::new("given maps", Value::Object(Default::default()), &maps.device());
        let attribution =
            Attribution { map: maps, scores, target, completeness: None, standard_error: None, provenance };
        Self::of_attribution(model, images, attribution)
    }

    /// The same for an attribution that is already there.
    ///
    /// # Errors
    /// [`Error::Image`] for maps that do not fit the pictures.
    pub fn of_attribution(model: &'a dyn Classifier, images: Tensor<4>, attribution: Attribution) -> Result<Self> {
        check_images(&images)?;
        let ([n, c, h, w], dims) = (images.dims(), attribution.map.dims());
        if ![[n, c, h, w], [n, 1, h, w]].contains(&dims) {
            let problem = format!("pictures {:?} need maps of that shape, or with 1 channel", images.dims());
            return Err(Error::image(format!("maps {dims:?}"), problem));
        }
        Ok(Self {
            model,
            network: None,
            explain: None,
            images,
            attribution,
            masks: None,
            pixel_value: PixelValue::default(),
            batches: MicroBatcher::default(),
        })
    }

    /// The maps of some of the pictures, in that order, for metrics that look at maps and masks only.
    ///
    /// # Errors
    /// [`Error::Image`] when `indices` is empty.
    pub fn of_pictures(&self, indices: &[usize]) -> Result<Subject<'a>> {
        let attribution = Attribution {
            map: select_images(&self.attribution.map, indices.iter().copied()),
            scores: indices.iter().map(|index| self.attribution.scores[*index]).collect(),
            target: self.target().select(indices.iter().copied()),
            completeness: None,
            standard_error: None,
            provenance: self.attribution.provenance.clone(),
        };
        let images = select_images(&self.images, indices.iter().copied());
        let subject = Self::of_attribution(self.model, images, attribution)?;
        Ok(subject.with_pixel_value(self.pixel_value).with_batches(self.batches.clone()))
    }

    /// With masks of the explained objects, one per picture, for the localization metrics.
    ///
    /// # Errors
    /// [`Error::Parameter`] when there are not as many as pictures or one has another size.
    pub fn with_masks(self, masks: Vec<Mask>) -> Result<Self> {
        let [images, _, height, width] = self.images.dims();
        if masks.len() != images {
            return Err(Error::parameter("masks", masks.len(), &format!("one per picture, there are {images}")));
        }
        if let Some(mask) = masks.iter().find(|mask| (mask.height(), mask.width()) != (height, width)) {
            let size = format!("{}×{}", mask.width(), mask.height());
            return Err(Error::parameter("mask", size, &format!("the size of the pictures, {width}×{height}")));
        }
        Ok(Self { masks: Some(masks), ..self })
    }

    /// Reads the maps in another way than by their sign.
    pub fn with_pixel_value(self, pixel_value: PixelValue) -> Self {
        Self { pixel_value, ..self }
    }

    /// Computes so many changed pictures at once.
    pub fn with_batches(self, batches: MicroBatcher) -> Self {
        Self { batches, ..self }
    }

    /// How many pictures there are.
    pub fn count(&self) -> usize {
        self.images.dims()[0]
    }

    /// `[n, c, h, w]`
    pub fn images(&self) -> &Tensor<4> {
        &self.images
    }

    /// The maps and what the method said about them.
    pub fn attribution(&self) -> &Attribution {
        &self.attribution
    }

    /// What was explained; never [`Target::Top`].
    pub fn target(&self) -> &Target {
        &self.attribution.target
    }

    /// How the maps are read.
    pub fn pixel_value(&self) -> PixelValue {
        self.pixel_value
    }

    /// The model.
    pub fn model(&self) -> &'a dyn Classifier {
        self.model
    }

    /// How changed pictures are to be batched.
    pub fn batches(&self) -> &MicroBatcher {
        &self.batches
    }

    /// One value per pixel for each picture, row by row.
    ///
    /// # Errors
    /// [`Error::Backend`], and [`Error::Image`] for maps that are not finite.
    pub fn pixel_values(&self) -> Result<Vec<Vec<f32>>> {
        pixel_values(&self.attribution.map, self.pixel_value)
    }

    /// The network.
    ///
    /// # Errors
    /// [`Error::Unsupported`] in the metric's name when the model does not show its weights.
    pub fn network(&self, metric: &str) -> Result<&'a Network> {
        self.network_subject(metric).map(|subject| subject.network)
    }

    /// Explains pictures on another network by the method of this subject.
    ///
    /// # Errors
    /// As [`network`](Self::network), and those of the method.
    pub fn explain_on(
        &self,
        metric: &str,
        network: &Network,
        images: Tensor<4>,
        target: &Target,
    ) -> Result<Attribution> {
        self.network_subject(metric)?.method.attribute(network, images, target)
    }

    /// Explains other pictures on the same model.
    ///
    /// # Errors
    /// [`Error::Unsupported`] in the metric's name when there are maps only, and those of the method.
    pub fn explain(&self, metric: &str, images: Tensor<4>, target: &Target) -> Result<Attribution> {
        let problem = "it explains changed pictures, and there are only maps: give it the method";
        self.explain.as_ref().ok_or_else(|| Error::unsupported(metric, problem))?(images, target)
    }

    /// The masks, one per picture.
    ///
    /// # Errors
    /// [`Error::Unsupported`] in the metric's name when there are none.
    pub fn masks(&self, metric: &str) -> Result<&[Mask]> {
        let problem = "it compares maps with the place of the object: give a mask for every picture";
        self.masks.as_deref().ok_or_else(|| Error::unsupported(metric, problem))
    }

    /// The explained score of changed pictures.
    ///
    /// # Shapes
    /// - images: `[rows, c, h, w]`, row i made from picture `rows[i].image`
    ///
    /// # Errors
    /// Those of the model.
    pub fn scores(&self, images: Tensor<4>, rows: &[Row]) -> Result<Vec<f32>> {
        Ok(self.target().select(rows.iter().map(|row| row.image)).score(self.model.logits(images)?)?.values)
    }

    /// The softmax probability of the explained class of changed pictures.
    ///
    /// # Shapes
    /// - images: `[rows, c, h, w]`, row i made from picture `rows[i].image`
    ///
    /// # Errors
    /// Those of the model, and [`Error::Target`] when not a class was explained.
    pub fn probabilities(&self, images: Tensor<4>, rows: &[Row]) -> Result<Vec<f32>> {
        let target = self.target().select(rows.iter().map(|row| row.image));
        if !matches!(target, Target::Class(_) | Target::Classes(_)) {
            return Err(Error::target(target, "only a class has a probability: explain a class"));
        }
        Ok(target.score(softmax(self.model.logits(images)?, 1))?.values)
    }

    fn network_subject(&self, metric: &str) -> Result<NetworkSubject<'a>> {
        let problem = "it changes the weights, and this model does not show them: use a burnsight-network Network";
        self.network.ok_or_else(|| Error::unsupported(metric, problem))
    }
}

/// One value per pixel for each map, row by row.
///
/// # Shapes
/// - maps: `[n, c, h, w]`
/// - returns: n times h · w values
///
/// # Errors
/// [`Error::Backend`], and [`Error::Image`] for maps that are not finite.
pub fn pixel_values(maps: &Tensor<4>, pixel_value: PixelValue) -> Result<Vec<Vec<f32>>> {
    let maps = maps.clone().inner();
    let values = read(match pixel_value {
        PixelValue::Signed => maps.clone().sum_dim(1),
        PixelValue::Magnitude => maps.clone().abs().max_dim(1),
    })?;
    let [_, _, height, width] = maps.dims();
    let maps: Vec<Vec<f32>> = values.chunks(height * width).map(<[f32]>::to_vec).collect();
    match maps.iter().position(|map| map.iter().any(|value| !value.is_finite())) {
        Some(index) => Err(Error::image(format!("map {index}"), "it holds values that are not finite numbers")),
        None => Ok(maps),
    }
}
