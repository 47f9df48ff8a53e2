//! PNG from SVG, with a font that comes along: the same bytes on every machine.

use std::sync::Arc;

use resvg::{tiny_skia, usvg};

/// Pixels of the picture per pixel of the drawing.
const SCALE: f32 = 2.0;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PngError {
    /// The SVG is none.
    #[error("the drawing cannot be read: {0}")]
    Svg(#[from] usvg::Error),
    /// The picture would be empty or too large.
    #[error("a picture of {0} by {1} pixels cannot be made")]
    Size(f32, f32),
    /// The encoder failed.
    #[error("the picture cannot be encoded: {0}")]
    Encode(String),
}

/// The font of every picture: DejaVu Sans, as the crate `dejavu` carries it.
#[must_use]
pub fn fonts() -> Arc<usvg::fontdb::Database> {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    Arc::new(fonts)
}

/// The picture of an SVG at twice its size.
///
/// # Errors
/// [`PngError`] where the SVG cannot be read or the picture not be made.
pub fn render(svg: &str, fonts: &Arc<usvg::fontdb::Database>) -> Result<Vec<u8>, PngError> {
    let options = usvg::Options {
        font_family: "DejaVu Sans".to_owned(),
        fontdb: Arc::clone(fonts),
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_str(svg, &options)?;
    let (width, height) = (tree.size().width() * SCALE, tree.size().height() * SCALE);
    let too_large = || PngError::Size(width, height);
    let mut picture = tiny_skia::Pixmap::new(width as u32, height as u32).ok_or_else(too_large)?;
    resvg::render(
        &tree,
        tiny_skia::Transform::from_scale(SCALE, SCALE),
        &mut picture.as_mut(),
    );
    picture
        .encode_png()
        .map_err(|e| PngError::Encode(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::chart::{Anchor, Drawing};

    #[test]
    fn a_picture_has_text_in_it_and_is_the_same_again() {
        let picture = |text: &str| {
            let mut drawing = Drawing::new(100.0, 40.0);
            drawing.text(5.0, 25.0, 16.0, Anchor::Start, "name", text);
            render(&drawing.standalone("test"), &fonts()).unwrap()
        };
        assert_eq!(picture("replicas"), picture("replicas"));
        assert_ne!(picture("replicas"), picture(""));
        assert!(picture("").starts_with(b"\x89PNG"));
    }
}
