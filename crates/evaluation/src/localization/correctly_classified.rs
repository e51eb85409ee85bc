use burn::tensor::Tensor;
use burnsight_core::{Classifier, Error, MicroBatcher, Result, Target, check_images, select_images};

/// Which pictures the model gives the highest logit to their true class.
///
/// A picture that was taken for something else has no right explanation: leave it out of the localization metrics, and
/// report how many were left.
///
/// # Shapes
/// - images: `[n, c, h, w]`, n labels
///
/// # Errors
/// [`Error::Parameter`] when there are not as many labels as pictures or the model has no such class, and those of the
/// model.
pub fn correctly_classified(
    model: &dyn Classifier,
    images: &Tensor<4>,
    labels: &[usize],
    batches: &MicroBatcher,
) -> Result<Vec<bool>> {
    check_images(images)?;
    let count = images.dims()[0];
    if labels.len() != count {
        return Err(Error::parameter("labels", labels.len(), &format!("one per picture, there are {count}")));
    }
    let mut correct = Vec::with_capacity(count);
    batches.run(count, 1, |rows| {
        let logits = model.logits(select_images(images, rows.iter().map(|row| row.image)))?;
        let classes = logits.dims()[1];
        let labels: Vec<usize> = rows.iter().map(|row| labels[row.image]).collect();
        if let Some(label) = labels.iter().find(|label| **label >= classes) {
            return Err(Error::parameter("label", label, &format!("the model has classes 0 to {}", classes - 1)));
        }
        if let Target::Classes(top) = Target::Top.pin(&logits)? {
            correct.extend(top.iter().zip(&labels).map(|(top, label)| top == label));
        }
        Ok(())
    })?;
    Ok(correct)
}
