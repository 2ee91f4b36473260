import { mount } from "svelte";
import "../styles.css";
import Verify from "./Verify.svelte";

const target = document.getElementById("app");
if (!target) throw new Error("verify/index.html lost its #app");
mount(Verify, { target });
