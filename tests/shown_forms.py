"""The form of a deployment in Prefect's UI, as a person fills it in."""

import os
import re
from dataclasses import dataclass
from typing import Any

from schemas.forms.flow_forms import NightlyForm
from tests.processes import until

SHOWN = NightlyForm.fields_shown()
#: how the addresses of the two versions begin
UIS = {"v1": "", "v2": "/v2"}


@dataclass
class ShownForm:
    """The page with the form of a deployment, in one of the versions of the UI."""

    page: Any
    ui: str

    def field(self, name):
        """What belongs to a parameter: its title, its description and its boxes."""
        title = re.compile(rf"^{re.escape(SHOWN[name]['title'])}( \(Optional\))?$")
        label = {"v1": ".schema-form-property__label", "v2": "label"}[self.ui]
        place = {"v1": ".schema-form-property", "v2": "div.group"}[self.ui]
        return self.page.locator(place).filter(has=self.page.locator(label, has_text=title)).last

    def box(self, name):
        return self.field(name).locator("input, textarea").first

    def write(self, **texts):
        for name, text in texts.items():
            self.box(name).fill(text)
        self.page.wait_for_timeout(1_500)  # a box hands on its text some time after it was typed

    def choose(self, name, value):
        """Choose a value of a list, which must be there among all others."""
        button = {"v1": ".p-select-button__control", "v2": "[role=combobox], button[aria-haspopup]"}[self.ui]
        opener, options = self.field(name).locator(button).last, self.page.get_by_role("option")

        def opened():
            # a click opens and shuts the list of V1
            opener.click(force=True)
            self.page.wait_for_timeout(500)
            if not options.count():
                opener.press("ArrowDown")
                self.page.wait_for_timeout(500)
            return options.count()

        until(opened, "the list")
        assert options.all_inner_texts() == SHOWN[name]["anyOf"][0]["enum"]
        options.get_by_text(value, exact=True).click()

    def submit(self):
        self.page.get_by_role("button", name="Submit").press("Enter")  # a message may lie over it

    def submit_until(self, begun):
        """What `begun` returns once it is true. After a refusal, the second UI takes a first press for another look only."""
        before = self.page.url

        def pressed():
            if self.page.url == before:
                self.submit()
                self.page.wait_for_timeout(4_000)
            return begun()

        return until(pressed, "the flow run")

    def message_of_the_browser(self, name):
        """What the browser itself says of a box when the form is submitted; "" when it is content."""
        return self.box(name).evaluate("box => box.validationMessage")

    def picture(self, name):
        """A screenshot, where somebody asks for one."""
        if folder := os.environ.get("WEIGHBRIDGE_PICTURES"):
            self.page.screenshot(path=f"{folder}/form_{self.ui}_{name}.png", full_page=True)
