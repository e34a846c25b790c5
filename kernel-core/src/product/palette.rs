//! Shades of one colour that people can read: contrast as the Web Content Accessibility Guidelines 2.2 measure it.

use std::fmt;
use std::str::FromStr;

/// The contrast that text needs (success criterion 1.4.3).
const READABLE: f64 = 4.5;
/// The grounds that accents must be readable on: the darkest of light pages and the lightest of dark ones.
const LIGHT_GROUND: Colour = Colour([0xf0, 0xf0, 0xf4]);
const DARK_GROUND: Colour = Colour([0x20, 0x22, 0x2a]);
const DARK_SURFACE: Colour = Colour([0x17, 0x18, 0x1d]);
const WHITE: Colour = Colour([255; 3]);
const BLACK: Colour = Colour([0; 3]);

/// A colour of the sRGB space, in parts of 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Colour(pub [u8; 3]);

/// The text is no colour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no colour; write # and six hexadecimal digits: #5b5bd6")]
pub struct UnreadableColour;

impl FromStr for Colour {
    type Err = UnreadableColour;

    fn from_str(text: &str) -> Result<Self, UnreadableColour> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let number =
            u32::from_str_radix(digits.ok_or(UnreadableColour)?, 16).map_err(|_| UnreadableColour)?;
        let [_, red, green, blue] = number.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl Colour {
    /// How bright it is, 0 to 1 (WCAG 2.2, "relative luminance").
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// How much two colours differ in brightness, 1 to 21 (WCAG 2.2, "contrast ratio").
    #[must_use]
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// So many hundredths of the way to another colour.
    fn towards(self, other: Self, hundredths: u32) -> Self {
        let mix = |from: u8, to: u8| {
            let mixed = (u32::from(from) * (100 - hundredths) + u32::from(to) * hundredths + 50) / 100;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        Self(std::array::from_fn(|part| mix(self.0[part], other.0[part])))
    }

    /// The first colour on the way to `end` that can be read on each of `grounds`.
    fn readable(self, grounds: &[Self], end: Self) -> Self {
        let reads = |colour: &Self| grounds.iter().all(|ground| colour.contrast(*ground) >= READABLE);
        (0..=100).map(|step| self.towards(end, step)).find(reads).unwrap_or(end)
    }
}

/// The accents of pages on one kind of ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shades {
    /// Fills what is to be pressed.
    pub accent: Colour,
    /// The same under the pointer.
    pub hover: Colour,
    /// Text on both.
    pub on: Colour,
    /// A quiet ground.
    pub soft: Colour,
    /// Accented text, on the page's ground and on the quiet one.
    pub text: Colour,
}

/// The accents of light pages and of dark ones. Every text has a contrast of at least 4.5 on its ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Palette {
    /// On light grounds.
    pub light: Shades,
    /// On dark grounds.
    pub dark: Shades,
}

impl Palette {
    /// The palette that follows from one colour.
    #[must_use]
    pub fn of(primary: Colour) -> Self {
        let shades = |ground: Colour, end: Colour, soft: Colour| {
            // Of black and white, one always has a contrast of 4.58 or more.
            let on = if primary.contrast(WHITE) >= READABLE { WHITE } else { BLACK };
            let away = if on == WHITE { BLACK } else { WHITE };
            let text = primary.readable(&[ground, soft], end);
            Shades { accent: primary, hover: primary.towards(away, 14), on, soft, text }
        };
        Self {
            light: shades(LIGHT_GROUND, BLACK, WHITE.towards(primary, 11)),
            dark: shades(DARK_GROUND, WHITE, DARK_SURFACE.towards(primary, 25)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_what_the_guidelines_say() {
        assert!((BLACK.contrast(WHITE) - 21.0).abs() < 1e-9);
        // The example of WCAG's own technique G18: #767676 is the lightest gray that can be read on white.
        let gray = |part: u8| Colour([part; 3]).contrast(WHITE);
        assert!(gray(0x76) >= READABLE && gray(0x77) < READABLE);
    }

    #[test]
    fn every_text_can_be_read_whatever_the_colour() {
        let parts = [0u8, 1, 40, 90, 118, 128, 150, 200, 254, 255];
        for red in parts {
            for green in parts {
                for blue in parts {
                    let palette = Palette::of(Colour([red, green, blue]));
                    for (shades, ground) in [(palette.light, LIGHT_GROUND), (palette.dark, DARK_GROUND)] {
                        let Shades { accent, hover, on, soft, text } = shades;
                        for (text, ground) in [(on, accent), (on, hover), (text, ground), (text, soft)] {
                            let contrast = text.contrast(ground);
                            assert!(contrast >= READABLE, "{text} on {ground}: {contrast}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn colours_are_read_and_written_alike() {
        for text in ["#000000", "#5b5bd6", "#ffffff"] {
            assert_eq!(text.parse::<Colour>().unwrap().to_string(), text);
        }
        for text in ["5b5bd6", "#5b5bd", "#5b5bd6f", "#5b5bdg", "#+b5bd6", "red", ""] {
            assert!(text.parse::<Colour>().is_err(), "{text}");
        }
    }
}
