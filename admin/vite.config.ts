import { pageConfig } from '../web/vite-page.js';

export default pageConfig('admin', { base: '/admin/', publicDir: false });
