//! Images in a request. Nobody looks at them: they must be base64, and they cost tokens.

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine as _};

use super::wire::Refusal;

/// Prompt tokens of one image, of whatever size.
const IMAGE_TOKENS: u64 = 64;

/// Prompt tokens of `images`, all of which must be base64, without the prefix of a data URL.
pub(super) fn tokens(images: &[String]) -> Result<u64, Refusal> {
    for image in images {
        STANDARD.decode(image).map_err(|error| {
            let at = position(&error, image);
            Refusal::new(400, format!("illegal base64 data at input byte {at}"))
        })?;
    }
    Ok(images.len() as u64 * IMAGE_TOKENS)
}

/// Where Go would stop reading.
fn position(error: &DecodeError, image: &str) -> usize {
    match error {
        DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol { offset: at, .. } => *at,
        DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => image.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_base64_and_costs_tokens() {
        assert_eq!(tokens(&["aGk=".to_owned(), "aGk=".to_owned()]), Ok(128));
        let refused = tokens(&["aG!=".to_owned()]);
        assert_eq!(refused, Err(Refusal::new(400, "illegal base64 data at input byte 2")));
    }
}
