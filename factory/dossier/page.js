"use strict";
for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.of).textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch (error) { // a page from a file may not use the clipboard
      const range = document.createRange();
      range.selectNodeContents(document.getElementById(button.dataset.of));
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      document.execCommand("copy");
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
}
const bar = document.querySelector(".filters");
if (bar) {
  bar.hidden = false;
  for (const button of bar.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      for (const line of document.querySelectorAll("ol.time>li." + button.dataset.kind)) line.hidden = !shown;
    });
  }
}
for (const picture of document.querySelectorAll(".e .shot")) {
  picture.addEventListener("click", () => picture.classList.toggle("big"));
}
