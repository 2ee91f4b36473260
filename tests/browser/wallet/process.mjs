export { default as process } from "process/browser.js";
