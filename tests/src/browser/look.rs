//! What a person does with a page, and what a test looks for in it.

use fantoccini::Locator;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use serde_json::json;

use super::keys::stroke;
use super::{Browser, Key};
use crate::harness::{LONG, eventually, holds};

impl Browser {
    /// Waits until an expression is true in the page.
    ///
    /// # Panics
    /// When it isn't within the limit, with what it was instead.
    #[track_caller]
    pub fn until(&self, expression: &str) {
        let body = format!("return ({expression});");
        eventually(LONG, || {
            let value = self.try_script(&body, vec![])?;
            holds(value == true, || format!("{expression} is {value}"))
        });
    }

    /// Waits until an element of this selector has this text in it. White space counts as one space.
    ///
    /// # Panics
    /// When none has within the limit, with the texts that there are.
    #[track_caller]
    pub fn shows(&self, selector: &str, text: &str) {
        eventually(LONG, || {
            let texts = self.try_texts(selector)?;
            holds(texts.iter().any(|it| it.contains(text)), || {
                format!("no {selector} with {text:?} in {texts:?}")
            })
        });
    }

    /// Waits until no element of this selector has this text in it.
    ///
    /// # Panics
    /// When one still has at the limit.
    #[track_caller]
    pub fn shows_no(&self, selector: &str, text: &str) {
        eventually(LONG, || {
            let texts = self.try_texts(selector)?;
            holds(!texts.iter().any(|it| it.contains(text)), || {
                format!("{selector} with {text:?} in {texts:?}")
            })
        });
    }

    /// The texts of the elements of this selector that are shown, in their order.
    ///
    /// # Panics
    /// When the page can't be asked.
    #[track_caller]
    pub fn texts(&self, selector: &str) -> Vec<String> {
        self.try_texts(selector).unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    fn try_texts(&self, selector: &str) -> Result<Vec<String>, String> {
        const BODY: &str = "
            return [...document.querySelectorAll(arguments[0])]
              .filter((it) => it.checkVisibility({ visibilityProperty: true }))
              .map((it) => it.textContent.replace(/\\s+/gu, ' ').trim());";
        let texts = self.try_script(BODY, vec![json!(selector)])?;
        let texts = texts.as_array().ok_or_else(|| texts.to_string())?;
        Ok(texts.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect())
    }

    /// How many elements this selector has, shown or not.
    ///
    /// # Panics
    /// When the page can't be asked.
    #[track_caller]
    pub fn count(&self, selector: &str) -> u64 {
        let count = self.script(
            "return document.querySelectorAll(arguments[0]).length;",
            vec![json!(selector)],
        );
        count.as_u64().expect("a number")
    }

    /// An attribute of the first element of this selector.
    ///
    /// # Panics
    /// When the page can't be asked.
    #[track_caller]
    pub fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let value = self.script(
            "return document.querySelector(arguments[0])?.getAttribute(arguments[1]) ?? null;",
            vec![json!(selector), json!(name)],
        );
        value.as_str().map(str::to_owned)
    }

    /// The title of the tab.
    ///
    /// # Panics
    /// When the page can't be asked.
    #[track_caller]
    pub fn title(&self) -> String {
        self.run(self.client().title()).expect("a title")
    }

    /// Clicks the first element of this selector that is shown, as a person does: it must be in front. Waits until it is.
    ///
    /// # Panics
    /// When it can't be clicked within the limit.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        eventually(LONG, || {
            let element = self.find(selector)?;
            self.run(element.click()).map_err(|error| format!("{selector}: {error}"))
        });
    }

    /// Clicks the first element of this selector with this text in it.
    ///
    /// # Panics
    /// When there is none within the limit.
    #[track_caller]
    pub fn click_with(&self, selector: &str, text: &str) {
        const BODY: &str = "
            const found = [...document.querySelectorAll(arguments[0])]
              .find((it) => it.checkVisibility() && it.textContent.includes(arguments[1]));
            found?.scrollIntoView({ block: 'nearest' });
            found?.setAttribute('data-test-clicked', '');
            return Boolean(found);";
        eventually(LONG, || {
            self.try_script(
                "document.querySelector('[data-test-clicked]')?.removeAttribute('data-test-clicked');",
                vec![],
            )?;
            let found = self.try_script(BODY, vec![json!(selector), json!(text)])?;
            holds(found == true, || format!("no {selector} with {text:?}"))?;
            let element = self.find("[data-test-clicked]")?;
            self.run(element.click()).map_err(|error| format!("{selector}: {error}"))
        });
    }

    /// Takes what a field has in it away, and types into it.
    ///
    /// # Panics
    /// When it can't be typed into within the limit.
    #[track_caller]
    pub fn fill(&self, selector: &str, text: &str) {
        eventually(LONG, || {
            let element = self.find(selector)?;
            self.run(element.clear()).map_err(|error| format!("{selector}: {error}"))?;
            self.run(element.send_keys(text)).map_err(|error| format!("{selector}: {error}"))
        });
    }

    /// Types on the keyboard, wherever the focus is.
    ///
    /// # Panics
    /// When the browser takes no keys.
    #[track_caller]
    pub fn types(&self, text: &str) {
        self.keyboard(text.chars().flat_map(stroke).collect());
    }

    /// Presses a key on the keyboard, wherever the focus is.
    ///
    /// # Panics
    /// When the browser takes no keys.
    #[track_caller]
    pub fn presses(&self, key: Key) {
        self.keyboard(key.strokes());
    }

    /// To the page and not to an element: what has the focus may just have been hidden, and WebDriver then types nothing.
    #[track_caller]
    fn keyboard(&self, strokes: Vec<KeyAction>) {
        let keyboard = KeyActions::new("keyboard".to_owned());
        let keyboard = strokes.into_iter().fold(keyboard, InputSource::then);
        self.run(self.client().perform_actions(keyboard))
            .unwrap_or_else(|error| panic!("the keyboard: {error}"));
    }

    /// The first element of this selector that is shown.
    fn find(&self, selector: &str) -> Result<Element, String> {
        let found = self.run(self.client().find_all(Locator::Css(selector)))?;
        let shown = found.into_iter().find(|it| self.run(it.is_displayed()) == Ok(true));
        shown.ok_or_else(|| format!("there is no {selector} that is shown"))
    }
}
