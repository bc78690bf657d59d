// What the theme leaves out for readers with a keyboard or a screen reader. It wraps tables late.
const mark = () => {
  document.querySelector("[data-md-component=search]")?.setAttribute("aria-label", "Search");
  document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])").forEach((one) => one.setAttribute("tabindex", "0"));
};
mark();
new MutationObserver(mark).observe(document.body, { childList: true, subtree: true });
