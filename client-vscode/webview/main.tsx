/** The entry of the chat view: messages in, drawings out. */

import { render } from "preact";
import type { ToView } from "../src/chat/messages";
import { App } from "./app";
import { post } from "./host";
import { dispatch, drawWith } from "./store";
import "./style.css";

const root = document.getElementById("root") ?? document.body;
drawWith((state) => render(<App state={state} />, root));
window.addEventListener("message", (event: MessageEvent<ToView>) => dispatch(event.data));
post({ type: "ready" });
