// What both pages of the review ask the server. Runs after page.js and before what uses it, in the same script.
const server = {
  // The answer of `path`; with a body it is posted. Throws what the server says is wrong.
  async call(path, body) {
    const options = body && {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    };
    const response = await fetch(path, options || {});
    const answer = await response.json().catch(() => ({ problem: `the server answered ${response.status}` }));
    if (!response.ok) throw new Error(answer.problem);
    return answer;
  },
};
