//! The one error type, sorted by who can fix it.

/// What went wrong, and what to change.
///
/// Messages quote the offending value and name the parameter to change; the tool's flags carry the same names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is out of its range.
    #[error("`{parameter}` is {value}: {requirement}")]
    Parameter {
        /// The setting's name, as in the configuration and, in kebab case, the tool's flag.
        parameter: String,
        /// The value that was given.
        value: String,
        /// What would be accepted.
        requirement: String,
    },
    /// The thing to be explained does not exist in this model.
    #[error("target {target}: {problem}")]
    Target {
        /// The target as it was given.
        target: String,
        /// Why it cannot be explained, and what could be.
        problem: String,
    },
    /// A picture cannot be read or does not fit the model.
    #[error("picture {picture}: {problem}")]
    Image {
        /// The file, or the shape of the tensor.
        picture: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A model or its weights cannot be used. Nothing was loaded.
    #[error("model {model}: {problem}")]
    Model {
        /// The model's name or file.
        model: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The method cannot do its work on this model.
    #[error("{method} cannot explain this model: {problem}")]
    Unsupported {
        /// The method.
        method: String,
        /// Which layer or capability is in the way, and what works instead.
        problem: String,
    },
    /// The backend failed: out of memory, no device, a kernel that would not run.
    #[error("the backend failed: {0}")]
    Backend(String),
}

impl Error {
    /// A setting out of its range.
    pub fn parameter(name: &str, value: impl ToString, requirement: &str) -> Self {
        Self::Parameter { parameter: name.into(), value: value.to_string(), requirement: requirement.into() }
    }

    /// A target this model does not have.
    pub fn target(target: impl ToString, problem: impl Into<String>) -> Self {
        Self::Target { target: target.to_string(), problem: problem.into() }
    }

    /// A picture that cannot be used.
    pub fn image(picture: impl ToString, problem: impl Into<String>) -> Self {
        Self::Image { picture: picture.to_string(), problem: problem.into() }
    }

    /// A model or weight file that cannot be used.
    pub fn model(model: impl ToString, problem: impl Into<String>) -> Self {
        Self::Model { model: model.to_string(), problem: problem.into() }
    }

    /// A method that cannot work on this model.
    pub fn unsupported(method: &str, problem: impl Into<String>) -> Self {
        Self::Unsupported { method: method.into(), problem: problem.into() }
    }
}

/// The result of everything that can fail here.
pub type Result<T> = std::result::Result<T, Error>;
