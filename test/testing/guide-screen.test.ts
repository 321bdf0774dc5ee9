// @vitest-environment happy-dom
import '../../docs/examples/guides/testing/screen.test.js';
