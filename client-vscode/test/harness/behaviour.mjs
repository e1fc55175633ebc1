/**
 * What hands can do in the chat view, done by a browser: `node behaviour.mjs`. Fails with the first
 * promise that does not hold.
 */
import assert from "node:assert/strict";
import { onStage } from "./stage.mjs";

await onStage(async (page, address) => {
    const open = async (scene) => {
        await page.goto(`${address}?theme=dark&scene=${scene}`);
        await page.locator("textarea").waitFor();
    };
    const said = (type) =>
        page.evaluate((wanted) => window.host.said.filter((message) => message.type === wanted), type);
    const tell = (message) => page.evaluate((given) => window.host.tell(given), message);
    const text = page.locator("textarea");
    const promise = async (name, hold) => {
        await hold();
        console.log(`holds: ${name}`);
    };
    const last = async (type) => (await said(type)).at(-1);
    const frames = () =>
        page.evaluate(
            () =>
                new Promise((done) =>
                    requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))),
                ),
        );
    const edges = () =>
        page.evaluate(() => {
            const { scrollTop, scrollHeight, clientHeight } = document.querySelector(".scroller");
            return { scrollTop, fromEnd: scrollHeight - scrollTop - clientHeight };
        });
    const items = (from, count) =>
        Array.from({ length: count }, (_, n) => ({
            id: `x${from + n}`,
            seq: 1,
            atMs: 0,
            kind: "text",
            state: "done",
            text: `Item ${from + n}\n\n${"words ".repeat(20 + ((from + n) % 7) * 30)}`,
        }));

    await promise("Enter sends, Shift+Enter makes a line, the text is remembered", async () => {
        await open("conversation");
        await text.fill("one");
        await text.press("Shift+Enter");
        await text.pressSequentially("two");
        await text.press("Enter");
        const { prompt: sent } = await last("send");
        assert.equal(sent.draft.text, "one\ntwo");
        assert.match(sent.promptId, /^[0-9a-f-]{36}$/);
        assert.equal(await text.inputValue(), "");
        await text.press("ArrowUp");
        assert.equal(await text.inputValue(), "one\ntwo");
    });
    await promise("the text area grows with what is typed, up to a limit", async () => {
        const height = async (lines) => {
            await text.fill(Array(lines).fill("words").join("\n"));
            return (await text.boundingBox()).height;
        };
        const [one, five, many] = [await height(1), await height(5), await height(90)];
        assert.ok(one < 60 && five > one + 60 && many > five && many <= 240, `${[one, five, many]}`);
    });
    await promise("Up and Down go through earlier prompts and come back to what was typed", async () => {
        await open("conversation");
        await text.fill("typing");
        await text.press("ArrowUp");
        assert.equal(await text.inputValue(), "An earlier prompt");
        await text.press("ArrowUp");
        assert.equal(await text.inputValue(), "The one before it");
        await text.press("ArrowDown");
        await text.press("ArrowDown");
        assert.equal(await text.inputValue(), "typing");
    });
    await promise("@ completes files, and the mention goes with the prompt", async () => {
        await open("conversation");
        await text.pressSequentially("see @test");
        await page.locator(".popup li").first().waitFor();
        await text.press("Tab");
        assert.equal(await text.inputValue(), "see @tests/test_retry.py ");
        await text.press("Enter");
        assert.deepEqual((await last("send")).prompt.draft.mentions, [{ path: "tests/test_retry.py" }]);
    });
    await promise("what is typed is told to the host a moment later", async () => {
        await open("conversation");
        await text.fill("half a sentence");
        await page.waitForFunction(() =>
            window.host.said.some((message) => message.type === "draft" && message.draft.text === "half a sentence"),
        );
    });
    await promise("a permission is answered once, by keyboard too", async () => {
        await open("asking");
        await page.getByRole("button", { name: "Always allow" }).focus();
        await page.keyboard.press("Enter");
        assert.deepEqual(await said("answer"), [{ type: "answer", questionId: "q1", answer: "allowAlways" }]);
        await page.getByText("Always allowed").waitFor();
    });
    await promise("Esc stops the turn, the buttons of a wait act", async () => {
        await open("waiting");
        await text.press("Escape");
        await page.getByRole("button", { name: "Retry now" }).click();
        assert.deepEqual(
            (await said("act")).map((message) => message.command),
            ["holdfast.turn.stop", "holdfast.turn.retry"],
        );
    });
    await promise("an earlier prompt is edited and sent again, and the draft comes back", async () => {
        await open("conversation");
        await text.fill("my draft");
        await page.locator(".scroller").press("Home");
        await page.locator(".prompt").first().hover();
        await page.getByRole("button", { name: "Edit and send again" }).click();
        await text.fill("Say it better");
        await text.press("Enter");
        const { prompt: sent } = await last("send");
        assert.equal(sent.draft.text, "Say it better");
        assert.ok(sent.replaces);
        assert.equal(await text.inputValue(), "my draft");
    });
    await promise("an edit that is cancelled leaves nothing behind but the draft", async () => {
        await text.fill("my draft");
        await page.locator(".prompt").first().hover();
        await page.getByRole("button", { name: "Edit and send again" }).click();
        assert.match(await text.inputValue(), /^Why does Stop/);
        await text.press("Escape");
        assert.equal(await text.inputValue(), "my draft");
        assert.equal((await said("send")).filter(({ prompt }) => prompt.replaces).length, 1);
    });
    await promise("links and code go to the host", async () => {
        await open("conversation");
        await page.getByText("example.org/backoff").click();
        await page.getByText("tests/test_retry.py", { exact: true }).click();
        await page.getByRole("button", { name: "Copy" }).click();
        await page.getByRole("button", { name: "Open diff" }).click();
        assert.equal((await last("openLink")).href, "https://example.org/backoff");
        assert.deepEqual([(await last("openFile")).path, (await last("openFile")).line], ["tests/test_retry.py", 41]);
        assert.equal((await last("code")).action, "copy");
        assert.equal((await said("diff")).length, 1);
    });
    await promise("a picture is pasted, one that is too large is refused with words", async () => {
        await open("conversation");
        const paste = (size) =>
            page.evaluate((length) => {
                const clipboardData = new DataTransfer();
                clipboardData.items.add(new File([new Uint8Array(length)], "x.png", { type: "image/png" }));
                document
                    .querySelector("textarea")
                    .dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
            }, size);
        await paste(900);
        await page.locator(".input .chip").waitFor();
        await paste(20_000_001);
        await page.getByText("at most 20 MB").waitFor();
        await text.press("Enter");
        assert.equal((await last("send")).prompt.draft.images.length, 1);
    });
    await promise("no key is lost while words stream in", async () => {
        await open("streaming");
        await page.evaluate(() => {
            const words = { op: "append", id: "grown", text: "and **more** words, " };
            window.host.tell({
                type: "changes",
                changes: [
                    { op: "put", item: { id: "grown", seq: 1, atMs: 0, kind: "text", state: "streaming", text: "" } },
                ],
            });
            window.streaming = setInterval(() => window.host.tell({ type: "changes", changes: [words] }), 4);
        });
        const typed = "the quick brown fox jumps over the lazy dog; ".repeat(3);
        await text.pressSequentially(typed);
        await page.evaluate(() => clearInterval(window.streaming));
        assert.equal(await text.inputValue(), typed);
    });
    await promise("the list sticks to its end while words stream in", async () => {
        await open("streaming");
        await tell({ type: "changes", changes: items(0, 30).map((item) => ({ op: "put", item })) });
        await frames();
        assert.ok((await edges()).fromEnd <= 2, JSON.stringify(await edges()));
    });
    await promise("whoever scrolls up is left alone, until they jump to the latest", async () => {
        await page.locator(".scroller").hover();
        await page.mouse.wheel(0, -900);
        await page.getByRole("button", { name: "Jump to latest" }).waitFor();
        await frames();
        const before = await page.evaluate(() => document.elementFromPoint(200, 300).textContent);
        await tell({ type: "changes", changes: items(30, 30).map((item) => ({ op: "put", item })) });
        await frames();
        assert.equal(await page.evaluate(() => document.elementFromPoint(200, 300).textContent), before);
        await page.getByRole("button", { name: "Jump to latest" }).click();
        await frames();
        assert.ok((await edges()).fromEnd <= 2);
    });
    await promise("older pages come when scrolled up to, and what is read stays where it is", async () => {
        await open("paged");
        await frames();
        await page.locator(".scroller").press("Home");
        await page.waitForFunction(() => window.host.said.some((message) => message.type === "older"));
        await frames();
        const place = () =>
            page.evaluate(() => {
                const row = [...document.querySelectorAll(".row")].find((each) =>
                    each.textContent.startsWith("Item 202"),
                );
                return row ? Math.round(row.getBoundingClientRect().top) : undefined;
            });
        const before = await place();
        await tell({ type: "older", items: items(100, 100), more: false });
        await frames();
        await page.waitForTimeout(300);
        const after = await place();
        assert.ok(
            before !== undefined && after !== undefined && Math.abs(before - after) <= 2,
            `moved from ${before} to ${after}`,
        );
    });
});
