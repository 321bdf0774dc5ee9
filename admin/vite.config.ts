import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  base: '/admin/',
  publicDir: false,
  plugins: [react()],
  build: {
    outDir: '../packages/server/dist/admin',
    emptyOutDir: true,
    target: 'es2022',
    // Browsers that know light-dark().
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
  },
});
