// What a person reads of a line: facts, and the sentence they make.
export { clean } from "./clean";
export { factsOf, type Facts, type Flag, type Names, type Verb, type Who } from "./facts";
export { sentence } from "./sentence";
export { dataWords } from "./tables";
